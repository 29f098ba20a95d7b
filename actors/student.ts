import {
  type CompiledStep,
  compileStep,
  createState,
  type EngineName,
  type StateStore,
  type TensorData,
} from '../compiler/index.ts';
import type { ColumnSpecs } from '../datasets/index.ts';
import {
  createGradientStep,
  createModel,
  createTrainingStep,
  distillWeightAt,
  entriesUnder,
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
import { readState, type StateCopy, writeState } from './exchange/state-copy.ts';
import { atPrecision, type TeacherPrecision } from './exchange/teacher-precision.ts';
import type { WeightShapes, Weights } from './exchange/weight-delta.ts';

/** What comes to a student from its teachers: their weights, or what they predict for its batches. */
export type Carriage = 'weights' | 'predictions';
export const carriages: readonly Carriage[] = ['weights', 'predictions'];

export interface StudentOptions extends UpdateConfig {
  readonly replica: string;
  readonly seed: number;
  readonly model: ModelConfig;
  /** Examples, or lanes of text, in one step. */
  readonly batch: number;
  /** The number of the first of these among those of all workers. */
  readonly firstLane: number;
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
  /** Whether a step ends with gradients, for an update that several workers share. */
  readonly givesGradients: boolean;
  /** Whether a step is given the teachers' predictions instead of running the teachers. */
  readonly carries: Carriage;
}

/** What one step showed; losses are in nats per row. */
export interface StepOutputs {
  readonly loss: number;
  readonly distillLoss: number;
  readonly gradientNorm: number;
  /** Of examples. */
  readonly accuracy: number | undefined;
}

/** What a step is taken with. */
export interface StepInput {
  /** Its number: the first is 0. */
  readonly step: number;
  readonly columns: Readonly<Record<string, TensorData>>;
  /** How much each teacher counts; undefined for a step without teachers. */
  readonly teacherShares: readonly number[] | undefined;
}

/** A step's gradients, not yet applied. */
export interface Gradients {
  /** Of each parameter. */
  readonly gradients: Weights;
  /** The model's averages after the batch. */
  readonly statistics: Weights;
  readonly measures: Readonly<Record<string, number>>;
}

/** A replica's model as it learns: its state, its compiled step and its teachers' weights. */
export class Student {
  readonly shapes: WeightShapes;
  /** Of the weights that gradients change. */
  readonly parameterShapes: WeightShapes;
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
    this.parameterShapes = this.#model.parameters;
    const targetShape = this.#model.targetShape(options.batch);
    this.rows = targetShape.reduce((product, size) => product * size, 1);
    this.columns = {
      ...(this.#model.inputs(options.batch) as ColumnSpecs),
      targets: { shape: targetShape, dtype: 'int32' },
    };
    this.#state = createState(this.#step(true).state);
    const first = initialTrainingState(this.#stepConfig(true), options.seed);
    for (const [name, values] of Object.entries(first)) {
      // A worker that only gives gradients has no optimizer.
      if (name in this.#state.specs) this.#state.read(name).set(values);
    }
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

  /** Takes a step that was prepared. */
  async run(input: StepInput): Promise<StepOutputs> {
    const rate = learningRateAt(this.#options.schedule, input.step);
    const outputs = await this.#run(input, { learningRate: Float32Array.of(rate) });
    return {
      loss: scalar(outputs, 'loss'),
      distillLoss: scalar(outputs, 'distillLoss'),
      gradientNorm: scalar(outputs, 'gradientNorm'),
      accuracy: outputs.accuracy?.[0],
    };
  }

  /** The same step without its update, where `givesGradients`. */
  async gradients(input: StepInput): Promise<Gradients> {
    const outputs = await this.#run(input, {});
    const measures = ['loss', 'distillLoss', 'accuracy']
      .filter((name) => name in outputs)
      .map((name) => [name, scalar(outputs, name)] as const);
    return {
      gradients: entriesUnder(outputs, 'gradient') as Weights,
      statistics: entriesUnder(outputs, 'statistic') as Weights,
      measures: Object.fromEntries(measures),
    };
  }

  async #run(
    { step, columns, teacherShares }: StepInput,
    more: Readonly<Record<string, TensorData>>,
  ): Promise<Readonly<Record<string, TensorData>>> {
    const compiled = this.#compiled.get(teacherShares !== undefined);
    if (compiled === undefined) throw new Error('a step ran before it was prepared');
    const { objective, burnInSteps } = this.#options;
    const ramps = teacherShares !== undefined && objective.rampSteps > 0;
    return await compiled.run({
      ...columns,
      ...more,
      ...(teacherShares &&
        this.#teachersComeAndGo && { teacherShares: Float32Array.from(teacherShares) }),
      ...(ramps && {
        distillWeight: Float32Array.of(distillWeightAt(objective, step - burnInSteps)),
      }),
    });
  }

  /** Takes over weights that were updated elsewhere. */
  loadWeights(weights: Weights): void {
    for (const [name, values] of Object.entries(weights)) {
      this.#state.write(`student/${name}`, values);
    }
  }

  /** What the model carries from batch to batch, and the count of its steps. */
  async carried(): Promise<StateCopy> {
    return await readState(this.#state, this.#carriedNames());
  }

  restoreCarried(carried: StateCopy): void {
    writeState(this.#state, this.#carriedNames(), carried, this.#options.replica);
  }

  /** Puts a teacher's weights where the compiled step reads them. */
  loadTeacher(teacher: number, weights: Weights): void {
    const { teacherPrecision } = this.#options;
    for (const [name, values] of Object.entries(weights)) {
      const entry = `teacher${teacher}/${name}`;
      const shape = this.#state.specs[entry]?.shape ?? [];
      this.#state.write(entry, atPrecision(teacherPrecision, values, shape));
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
  async checkpoint(): Promise<StateCopy> {
    return await readState(this.#state, this.#ownNames());
  }

  /** @throws DamagedDataError for the state of another model. */
  restore(checkpoint: StateCopy): void {
    writeState(this.#state, this.#ownNames(), checkpoint, this.#options.replica);
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

  #carriedNames(): readonly string[] {
    return this.#ownNames().filter((name) => name === 'steps' || name.includes('.recurrent/'));
  }

  #step(teaches: boolean): Step {
    const create = this.#options.givesGradients ? createGradientStep : createTrainingStep;
    return create(this.#stepConfig(teaches));
  }

  #stepConfig(teaches: boolean): TrainingStepConfig {
    const { teacherModels } = this.#options;
    return {
      ...this.#options,
      model: this.#model,
      teachers: teaches ? teacherModels.map(createModel) : [],
      sharedUnevenly: this.#teachersComeAndGo,
      teachersRunElsewhere: this.#options.carries === 'predictions',
    };
  }
}

function scalar(outputs: Readonly<Record<string, ArrayLike<number>>>, name: string): number {
  return outputs[name]?.[0] ?? Number.NaN;
}
