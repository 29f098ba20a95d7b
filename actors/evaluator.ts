import {
  type CompiledStep,
  compileStep,
  createState,
  type EngineName,
  type StateStore,
} from '../compiler/index.ts';
import { createWindows, openTokenShard, type Windows } from '../datasets/index.ts';
import { type ActorDefinition, defineActor, type Handle } from '../runtime/index.ts';
import { createEvaluationStep, type LanguageModelConfig } from '../training/index.ts';
import type { VersionedWeights } from './weight-delta.ts';

export interface EvaluatorOptions {
  /** One for each replica, in the order in which their weights are given. */
  readonly models: readonly LanguageModelConfig[];
  /** The held-out token file, on the host of this actor. */
  readonly path: string;
  readonly batch: number;
  readonly time: number;
  /** Windows scored each time, always the same ones. */
  readonly windowsMax: number;
  readonly engine: EngineName | 'auto';
  readonly threads: number;
}

/** Whoever can say what weights a replica has: its Trainer or its TeacherSnapshot. */
export interface WeightSource {
  weights(): VersionedWeights | null | Promise<VersionedWeights>;
}

/** Scores on held-out data; losses are in nats per token. */
export interface Evaluation {
  /** The step of each replica's weights. */
  readonly versions: readonly number[];
  readonly losses: readonly number[];
  /** Of the average of the replicas' probabilities. */
  readonly ensembleLoss: number;
  /** Mean total variation distance between the predictions of two replicas, 0 to 1. */
  readonly disagreement: number;
  readonly topTokenAgreement: number;
  readonly tokens: number;
}

/** Scores all replicas together on held-out text, which no replica trains on. */
export class Evaluator {
  readonly #options: EvaluatorOptions;
  readonly #windows: Windows;
  readonly #state: StateStore;
  #step: CompiledStep | undefined;

  constructor(options: EvaluatorOptions, windows: Windows) {
    this.#options = options;
    this.#windows = windows;
    this.#state = createState(this.#evaluationStep().state);
  }

  /** Null while a replica has no weights yet. */
  async evaluate(sources: readonly Handle<WeightSource>[]): Promise<Evaluation | null> {
    const versions: number[] = [];
    for (const [replica, source] of sources.entries()) {
      const current = await source.weights();
      if (current === null) return null;
      versions.push(current.version);
      for (const [name, values] of Object.entries(current.weights)) {
        this.#state.write(`replica${replica}/${name}`, values);
      }
    }
    return { versions, ...(await this.#score()) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#step?.dispose();
    this.#state.dispose();
  }

  async #score(): Promise<Omit<Evaluation, 'versions'>> {
    const { batch, time, models, windowsMax, engine, threads } = this.#options;
    if (this.#step === undefined) {
      const { step, inputs } = this.#evaluationStep();
      this.#step = await compileStep(step, { state: this.#state, inputs, engine, threads });
    }
    const recurrent = Object.keys(this.#state.specs).filter((name) =>
      /^replica\d+\.recurrent\//.test(name),
    );
    await this.#state.toHost(recurrent);
    for (const name of recurrent) this.#state.read(name).fill(0);
    const windows = Math.min(windowsMax, this.#windows.count);
    const losses = models.map(() => 0);
    let ensembleLoss = 0;
    let disagreement = 0;
    let topTokenAgreement = 0;
    for (let cursor = 0; cursor < windows; cursor++) {
      const { tokens, targets } = this.#windows.read(cursor);
      const outputs = await this.#step.run({ tokens, targets });
      for (const replica of losses.keys()) {
        losses[replica] =
          (losses[replica] as number) + outputOf(outputs, 'losses', replica) / windows;
      }
      ensembleLoss += outputOf(outputs, 'ensembleLoss') / windows;
      disagreement += outputOf(outputs, 'disagreement') / windows;
      topTokenAgreement += outputOf(outputs, 'topTokenAgreement') / windows;
    }
    const tokens = windows * batch * time;
    return { losses, ensembleLoss, disagreement, topTokenAgreement, tokens };
  }

  #evaluationStep(): ReturnType<typeof createEvaluationStep> {
    return createEvaluationStep(this.#options);
  }
}

export const evaluator: ActorDefinition<EvaluatorOptions, Evaluator> = defineActor({
  type: 'codistill/evaluator',
  module: import.meta.url,
  methods: { evaluate: 'idempotent' },
  async create(_context, options: EvaluatorOptions) {
    const shard = await openTokenShard(options.path);
    return new Evaluator(options, createWindows(shard, options));
  },
});

function outputOf(
  outputs: Readonly<Record<string, ArrayLike<number>>>,
  name: string,
  index = 0,
): number {
  const value = outputs[name]?.[index];
  if (value === undefined) throw new Error(`the evaluation step has no output ${name}[${index}]`);
  return value;
}
