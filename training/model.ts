import type * as tf from '@tensorflow/tfjs-core';
import type { TensorMap, TensorSpec } from '../compiler/index.ts';

/** Shapes by name, all float32. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

/**
 * A model that says for each row of a batch how likely each class is: what a replica trains, what its students
 * run as a teacher and what is evaluated.
 */
export interface Model {
  /** Such as word pieces or labels. Models can only be compared over the same ones. */
  readonly classes: number;
  /** What a row is. */
  readonly unit: 'tokens' | 'examples';
  readonly parameters: Shapes;
  /**
   * What is averaged over steps and not learned, such as a batch norm's moments. Together with the parameters these
   * are the model's weights: what a teacher's students need.
   */
  readonly statistics: Shapes;
  /** What a reader of a text carries from batch to batch, zero at first; most models carry nothing. */
  recurrentState(batch: number): Shapes;
  /** What the model is given, for a batch of so many examples. */
  inputs(batch: number): Readonly<Record<string, TensorSpec>>;
  /** Of the int32 targets for such a batch. */
  targetShape(batch: number): readonly number[];
  /**
   * How the rows of logits lie. `batch`: as the targets do. `time`: of targets [batch, time] all of the first step
   * first.
   */
  readonly rowOrder: RowOrder;
  /** First values of parameters and statistics, repeatable by `seed` (an integer in 0 … 2⁵³ − 1). */
  initialise(seed: number): Record<string, Float32Array>;
  /** The forward pass of a model that doesn't learn: a teacher's, or one that is evaluated. */
  predict(weights: TensorMap, recurrentState: TensorMap, inputs: TensorMap): Prediction;
  /** Forward and backward pass; `objectiveOf` is called once. */
  learn(
    student: StudentState,
    inputs: TensorMap,
    objectiveOf: (logits: tf.Tensor2D) => RowObjective,
  ): Lesson;
}

export type RowOrder = 'batch' | 'time';

export interface Prediction {
  /** [rows, classes] */
  readonly logits: tf.Tensor2D;
  readonly recurrentState: TensorMap;
}

export interface StudentState {
  readonly parameters: TensorMap;
  readonly statistics: TensorMap;
  readonly recurrentState: TensorMap;
  /** Steps before this one. */
  readonly stepsTaken: tf.Scalar;
  /** The number of the batch's first lane, or example, among those of all workers. */
  readonly firstLane: number;
}

/** What is minimised, as a mean over rows. */
export interface RowObjective {
  readonly value: tf.Scalar;
  /** What else the step tells of the same pass. */
  readonly shown: TensorMap;
  /** The gradient of each row's own value for its logits, [rows, classes]: not yet divided by the rows. */
  rowGradients(): tf.Tensor2D;
}

export interface Lesson {
  /** Of the objective, for each parameter. */
  readonly gradients: TensorMap;
  readonly shown: TensorMap;
  readonly statistics: TensorMap;
  readonly recurrentState: TensorMap;
}

/** Shapes of all that a student must know of its teacher, by name. */
export function weightShapes({
  parameters,
  statistics,
}: Pick<Model, 'parameters' | 'statistics'>): Shapes {
  return { ...parameters, ...statistics };
}
