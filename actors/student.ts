import {
  type CompiledStep,
  compileStep,
  createState,
  type EngineName,
  type StateStore,
  type TensorData,
} from '../compiler/index.ts';
import type { ColumnSpecs } from '../datasets/index.ts';
import { DamagedDataError } from '../errors.ts';
import {
  createModel,
  createTrainingStep,
  distillWeightAt,
  initialTrainingState,
  isTeacherWeight,
  type LearningRateSchedule,
  learningRateAt,
  type Model,
  type ModelConfig,
  type ObjectiveConfig,
  type Step,
  type TrainingStepConfig,
  teacherMatrices,
  type UpdateConfig,
  weightShapes,
} from '../training/index.ts';
import type { WeightShapes, Weights } from './weight-delta.ts';

/** How teachers compute: `int8` takes about half the time where the engine has such products. */
export type TeacherPrecision = 'f32' | 'int8';
export const teacherPrecisions: readonly TeacherPrecision[] = ['f32', 'int8'];

export interface StudentOptions extends UpdateConfig {
  readonly replica: string;
  readonly seed: number;
  readonly model: ModelConfig;
  /** Examples, or lanes of text, in one step. */
  readonly batch: number;
  readonly teacherModels: readonly ModelConfig[];
  readonly teacherPrecision: TeacherPrecision;
  readonly objective: ObjectiveConfig;
  readonly schedule: LearningRateSchedule;
  /** Steps before the first one that may have teachers. */
  readonly burnInSteps: number;
  /** With a limit teachers come and go, and a step may have some of them; null: all have taught from the first on. */
  readonly stalenessStepsMax: number | null;
  readonly engine: EngineName | 'auto';
  readonly threads: number;
}

/** What one step showed; losses are in nats per row. */
export interface StepOutputs {
  readonly loss: number;
  readonly distillLoss: number;
  readonly gradientNorm: number;
  /** Of examples. */
  readonly accuracy: number | undefined;
}

/** A replica's model as it learns: its state, its compiled step and its teachers' weights. */
export class Student {
  readonly shapes: WeightShapes;
  /** Rows of one step: tokens or examples. */
  readonly rows: number;
  readonly columns: ColumnSpecs;
  readonly #options: StudentOptions;
  readonly #model: Model;
  readonly #state: StateStore;
  /** By whether it has teachers. */
  readonly #compiled = new Map<boolean, CompiledStep>();

  /** @throws RangeError for sizes that can't be, or a teacher that can't be compared with the student. */
  constructor(options: StudentOptions) {
    this.#options = options;
    this.#model = createModel(options.model);
    this.shapes = weightShapes(this.#model);
    const targetShape = this.#model.targetShape(options.batch);
    this.rows = targetShape.reduce((product, size) => product * size, 1);
    this.columns = {
      ...(this.#model.inputs(options.batch) as ColumnSpecs),
      targets: { shape: targetShape, dtype: 'int32' },
    };
    this.#state = createState(this.#step(true).state);
    const first = initialTrainingState(this.#stepConfig(true), options.seed);
    for (const [name, values] of Object.entries(first)) this.#state.read(name).set(values);
  }

  /** Compiles what the next step needs, unless it is there. */
  async prepare(teaches: boolean): Promise<void> {
    if (this.#compiled.has(teaches)) return;
    if (!this.#teachersComeAndGo) {
      // The graph without teachers serves burn-in and is given up at the first step that has them.
      await this.#compiled.get(!teaches)?.dispose();
      this.#compiled.delete(!teaches);
    }
    const { step, inputs } = this.#step(teaches);
    const { engine, threads, teacherPrecision } = this.#options;
    const int8Weights = teacherPrecision === 'int8' ? teacherMatrices(this.#state.specs) : [];
    const compiled = { state: this.#state, inputs, engine, threads, int8Weights };
    this.#compiled.set(teaches, await compileStep(step, compiled));
  }

  /** The step numbered `step` (the first is 0), once it is prepared; without teachers when `shares` is undefined. */
  async run(
    step: number,
    columns: Readonly<Record<string, TensorData>>,
    shares: readonly number[] | undefined,
  ): Promise<StepOutputs> {
    const compiled = this.#compiled.get(shares !== undefined);
    if (compiled === undefined) throw new Error('a step ran before it was prepared');
    const { schedule, objective, burnInSteps } = this.#options;
    const outputs = await compiled.run({
      ...columns,
      learningRate: Float32Array.of(learningRateAt(schedule, step)),
      ...(shares && this.#teachersComeAndGo && { teacherShares: Float32Array.from(shares) }),
      ...(shares &&
        objective.rampSteps > 0 && {
          distillWeight: Float32Array.of(distillWeightAt(objective, step - burnInSteps)),
        }),
    });
    return {
      loss: scalar(outputs, 'loss'),
      distillLoss: scalar(outputs, 'distillLoss'),
      gradientNorm: scalar(outputs, 'gradientNorm'),
      accuracy: outputs.accuracy?.[0],
    };
  }

  /** Puts a teacher's weights where the compiled step reads them. */
  loadTeacher(teacher: number, weights: Weights): void {
    for (const [name, values] of Object.entries(weights)) {
      this.#state.write(`teacher${teacher}/${name}`, values);
    }
  }

  /** Whether a step needs the classes' frequencies (`setFrequencies`), which are part of its state then. */
  get usesFrequencies(): boolean {
    return 'frequencies' in this.#state.specs;
  }

  get classes(): number {
    return this.#model.classes;
  }

  /** [classes], adding up to one. */
  setFrequencies(frequencies: Float32Array): void {
    this.#state.write('frequencies', frequencies);
  }

  /** Brings the weights to host memory, where the engine keeps them on a device. */
  async weightsToHost(): Promise<void> {
    await this.#state.toHost(Object.keys(this.shapes).map((name) => `student/${name}`));
  }

  /** Views of the weights, once they are in host memory. */
  weights(): Weights {
    const weights: Record<string, Float32Array> = {};
    for (const name of Object.keys(this.shapes)) {
      weights[name] = this.#state.read(`student/${name}`) as Float32Array;
    }
    return weights;
  }

  /** All but the teachers' weights, by their names in the compiled step. */
  async checkpoint(): Promise<Readonly<Record<string, Float32Array>>> {
    await this.#state.toHost();
    const values: Record<string, Float32Array> = {};
    for (const name of this.#ownNames()) {
      values[name] = this.#state.read(name).slice() as Float32Array;
    }
    return values;
  }

  /** @throws DamagedDataError for the state of another model. */
  restore(checkpoint: Readonly<Record<string, Float32Array>>): void {
    for (const name of this.#ownNames()) {
      const values = checkpoint[name];
      const target = this.#state.read(name);
      if (values?.length !== target.length) {
        throw new DamagedDataError(
          `checkpoint of ${this.#options.replica} has ${values?.length ?? 'no'} values for ${name}, ` +
            `the model has ${target.length}: it was written with other model options`,
        );
      }
      target.set(values);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const step of this.#compiled.values()) await step.dispose();
    this.#state.dispose();
  }

  get #teachersComeAndGo(): boolean {
    return this.#options.stalenessStepsMax !== null;
  }

  #ownNames(): readonly string[] {
    return Object.keys(this.#state.specs).filter((name) => !isTeacherWeight(name));
  }

  #step(teaches: boolean): Step {
    return createTrainingStep(this.#stepConfig(teaches));
  }

  #stepConfig(teaches: boolean): TrainingStepConfig {
    const { teacherModels } = this.#options;
    return {
      ...this.#options,
      model: this.#model,
      teachers: teaches ? teacherModels.map(createModel) : [],
      sharedUnevenly: this.#teachersComeAndGo,
    };
  }
}

function scalar(outputs: Readonly<Record<string, ArrayLike<number>>>, name: string): number {
  return outputs[name]?.[0] ?? Number.NaN;
}
