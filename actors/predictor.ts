import {
  type CompiledStep,
  compileStep,
  createState,
  type EngineName,
  type StateStore,
  type TensorData,
} from '../compiler/index.ts';
import {
  createInferenceStep,
  createModel,
  type ModelConfig,
  teacherMatrices,
} from '../training/index.ts';
import { atPrecision, type TeacherPrecision } from './exchange/teacher-precision.ts';
import type { VersionedWeights, Weights } from './exchange/weight-delta.ts';

export interface PredictorOptions {
  readonly model: ModelConfig;
  readonly batch: number;
  readonly precision: TeacherPrecision;
  readonly engine: EngineName | 'auto';
  readonly threads: number;
}

/** A teacher's answer to one batch. */
export interface PredictionAnswer {
  readonly version: number;
  /** [rows, classes], in the order of the teacher's own rows. */
  readonly logits: Float32Array;
  /** What the student gives back with its next batch; empty for most models. */
  readonly recurrentState: Weights;
}

/** Runs a teacher's forward pass for its students; it keeps nothing of theirs. */
export class Predictor {
  readonly #options: PredictorOptions;
  readonly #state: StateStore;
  #step: CompiledStep | undefined;
  #loadedVersion = -1;

  constructor(options: PredictorOptions) {
    this.#options = options;
    this.#state = createState(this.#inferenceStep().state);
  }

  /** `recurrentState` is that of the answer before, empty at first. */
  async predict(
    { version, weights }: VersionedWeights,
    columns: Readonly<Record<string, TensorData>>,
    recurrentState: Weights,
  ): Promise<PredictionAnswer> {
    const { precision, engine, threads } = this.#options;
    if (version !== this.#loadedVersion) {
      for (const [name, values] of Object.entries(weights)) {
        const shape = this.#state.specs[`teacher0/${name}`]?.shape ?? [];
        this.#state.write(`teacher0/${name}`, atPrecision(precision, values, shape));
      }
      this.#loadedVersion = version;
    }
    const names = Object.keys(this.#state.specs).filter((name) => name.startsWith(RECURRENT));
    await this.#state.toHost(names);
    for (const name of names) {
      const values = recurrentState[name.slice(RECURRENT.length)];
      if (values === undefined) this.#state.read(name).fill(0);
      else this.#state.write(name, values);
    }
    if (this.#step === undefined) {
      const { step, inputs } = this.#inferenceStep();
      const int8Weights = precision === 'int8' ? teacherMatrices(this.#state.specs) : [];
      const options = { state: this.#state, inputs, engine, threads, int8Weights };
      this.#step = await compileStep(step, options);
    }
    const { logits } = await this.#step.run(columns);
    await this.#state.toHost(names);
    const carried = names.map((name) => [
      name.slice(RECURRENT.length),
      this.#state.read(name).slice() as Float32Array,
    ]);
    return {
      version,
      logits: (logits as Float32Array).slice(),
      recurrentState: Object.fromEntries(carried),
    };
  }

  async dispose(): Promise<void> {
    await this.#step?.dispose();
    this.#state.dispose();
  }

  #inferenceStep() {
    return createInferenceStep({
      model: createModel(this.#options.model),
      batch: this.#options.batch,
    });
  }
}

const RECURRENT = 'teacher0.recurrent/';
