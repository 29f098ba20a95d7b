import {
  type CompiledStep,
  compileStep,
  createState,
  type EngineName,
  type StateStore,
} from '../compiler/index.ts';
import { type Batches, type DataSource, openBatches, writePredictions } from '../datasets/index.ts';
import { type ActorDefinition, defineActor, type Handle } from '../runtime/index.ts';
import {
  type ClassificationScores,
  classificationScores,
  createEvaluationStep,
  createModel,
  ensembleProbabilities,
  type Model,
  type ModelConfig,
  type Step,
} from '../training/index.ts';
import type { Versions } from './evaluation-queue.ts';
import type { VersionedWeights } from './exchange/weight-delta.ts';

export interface EvaluatorOptions {
  /** One for each replica, in the order in which their weights are given. */
  readonly models: readonly ModelConfig[];
  /** Data that no replica trains on, on the host of this actor. */
  readonly source: DataSource;
  readonly batch: number;
  /** Batches scored each time, always the same ones. */
  readonly batchesMax: number;
  readonly engine: EngineName | 'auto';
  readonly threads: number;
}

/** Whoever can say what weights a replica has, such as its Trainer. */
export interface WeightSource {
  /** Those of `version`, null when they are gone; with null the present ones. */
  weights(version: number | null): VersionedWeights | null | Promise<VersionedWeights | null>;
}

/** Scores on held-out data; losses are in nats per row: token or example. */
export interface Evaluation {
  /** The step of each replica's weights. */
  readonly versions: readonly number[];
  readonly losses: readonly number[];
  /** Of the average of the replicas' probabilities. */
  readonly ensembleLoss: number;
  /** Mean total variation distance between the predictions of two replicas, 0 to 1. */
  readonly disagreement: number;
  /** Share of rows for which two replicas' likeliest class is the same. */
  readonly topAgreement: number;
  readonly rows: number;
  /** Of examples: those of each replica, and of the average of their probabilities. */
  readonly scores?: {
    readonly replicas: readonly ClassificationScores[];
    readonly ensemble: ClassificationScores;
  };
}

/** Scores all replicas together on held-out data, which no replica trains on. */
export class Evaluator {
  readonly #options: EvaluatorOptions;
  readonly #models: readonly Model[];
  readonly #batches: Batches;
  readonly #state: StateStore;
  #step: CompiledStep | undefined;

  constructor(options: EvaluatorOptions, batches: Batches) {
    this.#options = options;
    this.#models = options.models.map(createModel);
    this.#batches = batches;
    this.#state = createState(this.#evaluationStep().state);
  }

  /**
   * Null when a replica no longer has its weights of one of the `versions`; `sources` are those that may have them, of
   * each replica, and are asked in turn. With `predictionsPath`, of examples only, what each replica says of each row is
   * written there, on this actor's host.
   */
  async evaluate(
    sources: readonly (readonly (WeightSource | Handle<WeightSource>)[])[],
    options: { readonly versions?: Versions; readonly predictionsPath?: string } = {},
  ): Promise<Evaluation | null> {
    const versions: number[] = [];
    for (const [replica, own] of sources.entries()) {
      const current = await firstWeights(own, options.versions?.[replica] ?? null);
      if (current === null) return null;
      versions.push(current.version);
      for (const [name, values] of Object.entries(current.weights)) {
        this.#state.write(`replica${replica}/${name}`, values);
      }
    }
    return { versions, ...(await this.#score(options.predictionsPath)) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#step?.dispose();
    this.#state.dispose();
  }

  async #score(predictionsPath: string | undefined): Promise<Omit<Evaluation, 'versions'>> {
    const { batch, batchesMax, engine, threads } = this.#options;
    if (this.#step === undefined) {
      const { step, inputs } = this.#evaluationStep();
      this.#step = await compileStep(step, { state: this.#state, inputs, engine, threads });
    }
    const recurrent = Object.keys(this.#state.specs).filter((name) =>
      /^replica\d+\.recurrent\//.test(name),
    );
    await this.#state.toHost(recurrent);
    for (const name of recurrent) this.#state.read(name).fill(0);
    const batches = Math.min(batchesMax, this.#batches.count);
    const losses = this.#models.map(() => 0);
    let ensembleLoss = 0;
    let disagreement = 0;
    let topAgreement = 0;
    const predictions = this.#collectPredictions(batches);
    for (let cursor = 0; cursor < batches; cursor++) {
      const { columns } = await this.#batches.read(cursor);
      const outputs = await this.#step.run(columns);
      for (const replica of losses.keys()) {
        losses[replica] =
          (losses[replica] as number) + outputOf(outputs, 'losses', replica) / batches;
      }
      ensembleLoss += outputOf(outputs, 'ensembleLoss') / batches;
      disagreement += outputOf(outputs, 'disagreement') / batches;
      topAgreement += outputOf(outputs, 'topAgreement') / batches;
      predictions?.add(
        cursor,
        columns.targets as Int32Array,
        outputs.probabilities as Float32Array,
      );
    }
    if (predictionsPath !== undefined) await predictions?.write(predictionsPath);
    const rows = (this.#models[0] as Model)
      .targetShape(batch)
      .reduce((product, size) => product * size, batches);
    return {
      losses,
      ensembleLoss,
      disagreement,
      topAgreement,
      rows,
      ...(predictions && { scores: predictions.scores() }),
    };
  }

  /** Those of texts are too many. */
  #collectPredictions(batches: number): CollectedPredictions | undefined {
    const { classes, unit } = this.#models[0] as Model;
    if (unit !== 'examples') return undefined;
    return new CollectedPredictions(this.#models.length, {
      rows: batches * this.#options.batch,
      classes,
    });
  }

  #evaluationStep(): Step {
    return createEvaluationStep({ models: this.#models, batch: this.#options.batch });
  }
}

/** Of all batches, one after the other. */
class CollectedPredictions {
  readonly #targets: Int32Array;
  readonly #models: readonly Float32Array[];
  readonly #classes: number;

  constructor(
    replicas: number,
    { rows, classes }: { readonly rows: number; readonly classes: number },
  ) {
    this.#targets = new Int32Array(rows);
    this.#models = Array.from({ length: replicas }, () => new Float32Array(rows * classes));
    this.#classes = classes;
  }

  /** @param probabilities [replicas, batch, classes] */
  add(batch: number, targets: Int32Array, probabilities: Float32Array): void {
    this.#targets.set(targets, batch * targets.length);
    const length = targets.length * this.#classes;
    for (const [replica, values] of this.#models.entries()) {
      values.set(probabilities.subarray(replica * length, (replica + 1) * length), batch * length);
    }
  }

  scores(): NonNullable<Evaluation['scores']> {
    const score = (one: Float32Array) => classificationScores(one, this.#targets, this.#classes);
    return {
      replicas: this.#models.map(score),
      ensemble: score(ensembleProbabilities(this.#models)),
    };
  }

  async write(path: string): Promise<void> {
    const models = this.#models.map((values, index) => [`replica-${index + 1}`, values] as const);
    await writePredictions(path, {
      targets: this.#targets,
      classes: this.#classes,
      models: new Map(models),
    });
  }
}

export const evaluator: ActorDefinition<EvaluatorOptions, Evaluator> = defineActor({
  type: 'codistill/evaluator',
  module: import.meta.url,
  methods: { evaluate: 'idempotent' },
  async create(_context, options: EvaluatorOptions) {
    return new Evaluator(options, await openBatches(options.source));
  },
});

async function firstWeights(
  sources: readonly (WeightSource | Handle<WeightSource>)[],
  version: number | null,
): Promise<VersionedWeights | null> {
  for (const source of sources) {
    const weights = await source.weights(version);
    if (weights !== null) return weights;
  }
  return null;
}

function outputOf(
  outputs: Readonly<Record<string, ArrayLike<number>>>,
  name: string,
  index = 0,
): number {
  const value = outputs[name]?.[index];
  if (value === undefined) throw new Error(`the evaluation step has no output ${name}[${index}]`);
  return value;
}
