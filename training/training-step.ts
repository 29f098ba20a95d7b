import * as tf from '@tensorflow/tfjs-core';
import type { StepResult, TensorMap, TensorSpec } from '../compiler/index.ts';
import { codistillationObjective } from './codistillation-objective.ts';
import { checkComparable, checkLogits } from './comparable-models.ts';
import { checkInteger } from './config-check.ts';
import { type Lesson, type Model, type RowObjective, type Shapes, weightShapes } from './model.ts';
import { checkObjectiveConfig, type ObjectiveConfig } from './objective-config.ts';
import {
  checkUpdateConfig,
  initialUpdateState,
  type UpdateConfig,
  updateParameters,
  updateState,
} from './parameter-update.ts';
import { orderRows, orderTargets } from './row-order.ts';
import { entriesUnder, floatSpecs, placeUnder, type Step, tidyStep } from './step-state.ts';

export interface TrainingStepConfig extends UpdateConfig {
  readonly model: Model;
  /** Examples, or lanes of text side by side. */
  readonly batch: number;
  /** The number of the first of these among those of all workers; 0 if absent. */
  readonly firstLane?: number;
  /** One per teacher, none during burn-in; they may be of another kind, for the same batches and classes. */
  readonly teachers: readonly Model[];
  readonly objective: ObjectiveConfig;
  /** Whether teachers count differently from step to step; then the step has an input `teacherShares`. */
  readonly sharedUnevenly?: boolean;
  /** Whether somebody else runs the teachers; then the step has inputs `teacher<j>.logits` and nothing else of them. */
  readonly teachersRunElsewhere?: boolean;
}

/**
 * A student's training step: its forward pass and its teachers', the codistillation objective, backward pass,
 * clipping and the optimizer.
 *
 * State, all float32: `student/<parameter or statistic>`, the optimizer's (`updateState`),
 * `student.recurrent/<name>`, `teacher<j>/<parameter or statistic>` (read only) and `teacher<j>.recurrent/<name>`:
 * each teacher carries its own recurrent state along the student's text, also across a change of its weights.
 * `initialTrainingState` has the first values. With unigram smoothing also `frequencies` [classes], which add up to one.
 *
 * Inputs: the model's, `targets` int32, `learningRate` float32 []; with teachers and a ramp `distillWeight` [], with
 * `sharedUnevenly` `teacherShares` [teachers].
 * Outputs, float32 []: `loss` and `distillLoss` (nats per row, before the update; without weights), `gradientNorm`
 * (before clipping), for examples also `accuracy` (share of rows whose likeliest class is the target).
 *
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function createTrainingStep(config: TrainingStepConfig): Step {
  checkTrainingStepConfig(config);
  return {
    step: tidyStep((state, inputs) => trainingStep(config, state, inputs)),
    state: { ...learningState(config), ...updateState(config, config.model.parameters) },
    inputs: {
      ...learningInputs(config),
      learningRate: { shape: [], dtype: 'float32' },
    },
  };
}

/**
 * A worker's half of the same step: all but clipping and the optimizer, which `createUpdateStep` has, so that several
 * workers can share one update.
 *
 * State: that of `createTrainingStep` without the optimizer's, but with `steps`; the student's weights are read only.
 * Inputs: the same without `learningRate`. Outputs: `loss`, `distillLoss` and `accuracy` as there,
 * `gradient/<parameter>` (of the mean over the batch's rows) and `statistic/<statistic>` (after the batch).
 *
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function createGradientStep(config: TrainingStepConfig): Step {
  checkTrainingStepConfig(config);
  return {
    step: tidyStep((state, inputs) => gradientStep(config, state, inputs)),
    state: { ...learningState(config), steps: { shape: [], dtype: 'float32' } },
    inputs: learningInputs(config),
  };
}

function learningState(config: TrainingStepConfig): Record<string, TensorSpec> {
  const { model, batch, teachers, objective } = config;
  return {
    ...floatSpecs('student', weightShapes(model)),
    ...floatSpecs('student.recurrent', model.recurrentState(batch)),
    ...(config.teachersRunElsewhere !== true &&
      Object.assign(
        {},
        ...teachers.map((teacher, index) => ({
          ...floatSpecs(`teacher${index}`, weightShapes(teacher)),
          ...floatSpecs(`teacher${index}.recurrent`, teacher.recurrentState(batch)),
        })),
      )),
    ...(objective.smoothing.kind === 'unigram' && {
      frequencies: { shape: [model.classes], dtype: 'float32' },
    }),
  };
}

function learningInputs(config: TrainingStepConfig): Record<string, TensorSpec> {
  const { model, batch, teachers } = config;
  return {
    ...model.inputs(batch),
    targets: { shape: model.targetShape(batch), dtype: 'int32' },
    ...(hasWeightInput(config) && { distillWeight: { shape: [], dtype: 'float32' } }),
    ...(hasShareInput(config) && {
      teacherShares: { shape: [teachers.length], dtype: 'float32' },
    }),
    ...(config.teachersRunElsewhere === true &&
      Object.fromEntries(
        teachers.map((teacher, index) => {
          const rows = teacher.targetShape(batch).reduce((product, size) => product * size, 1);
          return [
            `teacher${index}.logits`,
            { shape: [rows, teacher.classes], dtype: 'float32' } as const,
          ];
        }),
      )),
  };
}

/** First values of a step's state that aren't zero: the student's weights, and what the optimizer begins with. */
export function initialTrainingState(
  config: UpdateConfig & { readonly model: Model },
  seed: number,
): Record<string, Float32Array> {
  return {
    ...placeUnder('student', config.model.initialise(seed)),
    ...initialUpdateState(config, config.model.parameters),
  };
}

/** A teacher's weight, which the step only reads; its recurrent state is the student's to keep. */
export function isTeacherWeight(name: string): boolean {
  return /^teacher\d+\//.test(name);
}

/** The teachers' matrices among a step's state: what an engine may hold in int8. */
export function teacherMatrices(state: Readonly<Record<string, TensorSpec>>): readonly string[] {
  return Object.keys(state).filter(
    (name) => isTeacherWeight(name) && state[name]!.shape.length === 2,
  );
}

function trainingStep(config: TrainingStepConfig, state: TensorMap, inputs: TensorMap): StepResult {
  const { lesson, carried } = learn(config, state, inputs);
  const updated = updateParameters(
    config,
    state,
    lesson.gradients,
    inputs.learningRate as tf.Scalar,
  );
  return {
    state: { ...updated.state, ...placeUnder('student', lesson.statistics), ...carried },
    outputs: { ...lesson.shown, gradientNorm: updated.gradientNorm },
  };
}

function gradientStep(config: TrainingStepConfig, state: TensorMap, inputs: TensorMap): StepResult {
  const { lesson, carried } = learn(config, state, inputs);
  return {
    state: { ...carried, steps: tf.add(state.steps as tf.Scalar, 1) },
    outputs: {
      ...lesson.shown,
      ...placeUnder('gradient', lesson.gradients),
      ...placeUnder('statistic', lesson.statistics),
    },
  };
}

/** Forward pass of student and teachers, and the student's backward pass. */
function learn(
  config: TrainingStepConfig,
  state: TensorMap,
  inputs: TensorMap,
): { readonly lesson: Lesson; readonly carried: TensorMap } {
  const { model } = config;
  const weights = entriesUnder(state, 'student');
  const student = {
    parameters: pick(weights, model.parameters),
    statistics: pick(weights, model.statistics),
    recurrentState: entriesUnder(state, 'student.recurrent'),
    stepsTaken: state.steps as tf.Scalar,
    firstLane: config.firstLane ?? 0,
  };
  const teachers = config.teachers.map((teacher, index) => {
    const given = inputs[`teacher${index}.logits`] as tf.Tensor2D | undefined;
    const { logits, recurrentState } =
      given !== undefined
        ? { logits: given, recurrentState: {} }
        : teacher.predict(
            entriesUnder(state, `teacher${index}`),
            entriesUnder(state, `teacher${index}.recurrent`),
            inputs,
          );
    const orders = { from: teacher.rowOrder, to: model.rowOrder };
    return { logits: orderRows(logits, orders, inputs.targets!.shape), recurrentState };
  });
  const teacherLogits = teachers.map(({ logits }) => logits);
  const lesson = model.learn(student, inputs, (logits) =>
    objectiveOf(config, logits, teacherLogits, state, inputs),
  );
  const carried = {
    ...placeUnder('student.recurrent', lesson.recurrentState),
    ...Object.assign(
      {},
      ...teachers.map(({ recurrentState }, index) =>
        placeUnder(`teacher${index}.recurrent`, recurrentState),
      ),
    ),
  };
  return { lesson, carried };
}

function objectiveOf(
  config: TrainingStepConfig,
  logits: tf.Tensor2D,
  teacherLogits: readonly tf.Tensor2D[],
  state: TensorMap,
  inputs: TensorMap,
): RowObjective {
  const { model, objective } = config;
  const { distillation, temperature, smoothing } = objective;
  const targets = orderTargets(model, inputs.targets!);
  const { loss, distillLoss, value, rowGradients } = codistillationObjective({
    logits,
    targets,
    teacherLogits,
    ...(hasShareInput(config) && { teacherShares: inputs.teacherShares as tf.Tensor1D }),
    distillWeight: hasWeightInput(config) ? (inputs.distillWeight as tf.Scalar) : objective.weight,
    distillation,
    temperature,
    ...(smoothing.kind !== 'none' && {
      smoothing: {
        share: smoothing.share,
        ...(smoothing.kind === 'unigram' && { frequencies: state.frequencies as tf.Tensor1D }),
      },
    }),
  });
  const accuracy = () => {
    const hits = tf.equal(tf.argMax(logits, 1), targets);
    return tf.mean(tf.cast(hits, 'float32'));
  };
  return {
    value,
    shown: { loss, distillLoss, ...(model.unit === 'examples' && { accuracy: accuracy() }) },
    rowGradients,
  };
}

function hasWeightInput({ teachers, objective }: TrainingStepConfig): boolean {
  return teachers.length > 0 && objective.rampSteps > 0;
}

function hasShareInput({ teachers, sharedUnevenly }: TrainingStepConfig): boolean {
  return teachers.length > 0 && sharedUnevenly === true;
}

function pick(entries: TensorMap, shapes: Shapes): TensorMap {
  return Object.fromEntries(Object.keys(shapes).map((name) => [name, entries[name]!]));
}

function checkTrainingStepConfig(config: TrainingStepConfig): void {
  checkInteger('batch', config.batch, 1);
  checkInteger('firstLane', config.firstLane ?? 0, 0);
  checkUpdateConfig(config);
  checkObjectiveConfig(config.objective);
  for (const [index, teacher] of config.teachers.entries()) {
    checkComparable(`teachers[${index}]`, teacher, config.model);
  }
  checkLogits(config.model, config.batch);
}
