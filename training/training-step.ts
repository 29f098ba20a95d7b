import * as tf from '@tensorflow/tfjs-core';
import type { StepResult, TensorMap, TensorSpec } from '../compiler/index.ts';
import { type AdamConfig, adamRates, adamUpdate, checkAdamConfig } from './adam.ts';
import { codistillationObjective } from './codistillation-objective.ts';
import { checkInteger, checkNumber } from './config-check.ts';
import { gradientClipping } from './gradient-clipping.ts';
import { defaultRestartIntervalSteps, restartLanes } from './lane-restarts.ts';
import { forward, timeMajor } from './language-model.ts';
import {
  checkLanguageModelConfig,
  type LanguageModelConfig,
  languageModelParameters,
  recurrentStateShapes,
} from './language-model-config.ts';
import { entriesUnder, floatSpecs, placeUnder, type Step, tidyStep } from './step-state.ts';

export interface TrainingStepConfig {
  readonly model: LanguageModelConfig;
  /** Lanes of text side by side. */
  readonly batch: number;
  /** Word pieces per lane and step: the window of truncated back-propagation. */
  readonly time: number;
  /** One per teacher, none during burn-in; sizes may differ but for the vocabulary. */
  readonly teachers: readonly LanguageModelConfig[];
  readonly optimizer: AdamConfig;
  /** Largest global norm of the gradients. */
  readonly clipNorm: number;
  /** Weight of the distillation term, 0 or more; the paper's is 1. */
  readonly distillWeight: number;
  /**
   * Each lane forgets its recurrent state every so many steps, one lane after another; 0 for never,
   * default 16. It teaches the student to start (see `restartLanes`). Teachers always carry theirs.
   */
  readonly restartIntervalSteps?: number;
}

/**
 * A student's training step: its forward pass and its teachers', the codistillation objective,
 * backward pass, clipping and Adam.
 *
 * State: `student/<parameter>`, `adam.m/<parameter>`, `adam.v/<parameter>`, `adam.step` (steps
 * taken, float32 []), `student.recurrent/<name>`, `teacher<j>/<parameter>` (read only) and
 * `teacher<j>.recurrent/<name>`: each teacher carries its own recurrent state along the student's
 * text, also across a change of its weights. All but weights start as zero.
 *
 * Inputs: `tokens` and `targets` int32 [batch, time], `learningRate` float32 [].
 * Outputs, float32 []: `loss` and `distillLoss` (nats per token, before the update; the latter
 * without its weight), `gradientNorm` (before clipping).
 *
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function createTrainingStep(config: TrainingStepConfig): Step {
  checkTrainingStepConfig(config);
  const parameters = languageModelParameters(config.model);
  return {
    step: tidyStep((state, inputs) => trainingStep(config, state, inputs)),
    state: {
      ...floatSpecs('student', parameters),
      ...floatSpecs('adam.m', parameters),
      ...floatSpecs('adam.v', parameters),
      'adam.step': { shape: [], dtype: 'float32' },
      ...floatSpecs('student.recurrent', recurrentStateShapes(config.model, config.batch)),
      ...Object.assign(
        {},
        ...config.teachers.map((teacher, index) => ({
          ...floatSpecs(`teacher${index}`, languageModelParameters(teacher)),
          ...floatSpecs(`teacher${index}.recurrent`, recurrentStateShapes(teacher, config.batch)),
        })),
      ),
    },
    inputs: {
      tokens: { shape: [config.batch, config.time], dtype: 'int32' },
      targets: { shape: [config.batch, config.time], dtype: 'int32' },
      learningRate: { shape: [], dtype: 'float32' },
    },
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
  const tokens = inputs.tokens as tf.Tensor2D;
  const parameters = entriesUnder(state, 'student');
  const stepsTaken = state['adam.step'] as tf.Scalar;
  const recurrentState = restartLanes(
    entriesUnder(state, 'student.recurrent'),
    stepsTaken,
    config.restartIntervalSteps ?? defaultRestartIntervalSteps,
  );
  const student = forward(config.model, parameters, recurrentState, tokens);
  const teachers = config.teachers.map((teacher, index) =>
    forward(
      teacher,
      entriesUnder(state, `teacher${index}`),
      entriesUnder(state, `teacher${index}.recurrent`),
      tokens,
    ),
  );
  const objective = codistillationObjective({
    logits: student.logits,
    targets: timeMajor(inputs.targets as tf.Tensor2D),
    teacherLogits: teachers.map(({ logits }) => logits),
    distillWeight: config.distillWeight,
  });
  const gradients = student.backward(objective.rowGradients());
  const { norm, factor } = gradientClipping(Object.values(gradients), config.clipNorm);
  const step = tf.add<tf.Scalar>(stepsTaken, 1);
  const rates = adamRates(config.optimizer, inputs.learningRate as tf.Scalar, step);
  const updated: Record<string, tf.Tensor> = { 'adam.step': step };
  for (const [name, parameter] of Object.entries(parameters)) {
    const slot = {
      parameter,
      firstMoment: state[`adam.m/${name}`]!,
      secondMoment: state[`adam.v/${name}`]!,
    };
    const next = adamUpdate(config.optimizer, rates, slot, gradients[name]!, factor);
    updated[`student/${name}`] = next.parameter;
    updated[`adam.m/${name}`] = next.firstMoment;
    updated[`adam.v/${name}`] = next.secondMoment;
  }
  return {
    state: {
      ...updated,
      ...placeUnder('student.recurrent', student.recurrentState),
      ...Object.assign(
        {},
        ...teachers.map(({ recurrentState }, index) =>
          placeUnder(`teacher${index}.recurrent`, recurrentState),
        ),
      ),
    },
    outputs: { loss: objective.loss, distillLoss: objective.distillLoss, gradientNorm: norm },
  };
}

function checkTrainingStepConfig(config: TrainingStepConfig): void {
  checkLanguageModelConfig(config.model);
  checkInteger('batch', config.batch, 1);
  checkInteger('time', config.time, 1);
  checkAdamConfig(config.optimizer);
  checkNumber('clipNorm', config.clipNorm, { above: 0 });
  checkNumber('distillWeight', config.distillWeight, { atLeast: 0 });
  if (config.restartIntervalSteps !== undefined) {
    checkInteger('restartIntervalSteps', config.restartIntervalSteps, 0);
  }
  for (const [index, teacher] of config.teachers.entries()) {
    checkLanguageModelConfig(teacher, `teachers[${index}]`);
    checkSameVocabulary(`teachers[${index}]`, teacher, config.model);
  }
  checkLogits(config.model, config.batch, config.time);
}

/** @throws RangeError when two models that are compared know different word pieces. */
export function checkSameVocabulary(
  name: string,
  one: LanguageModelConfig,
  other: LanguageModelConfig,
): void {
  if (one.vocabularySize === other.vocabularySize) return;
  throw new RangeError(
    `${name}.vocabularySize is ${one.vocabularySize}: it must be ${other.vocabularySize}, as ` +
      'models can only be compared over the same word pieces',
  );
}

/** @throws RangeError when the logits have more elements than an int32 index reaches. */
export function checkLogits(model: LanguageModelConfig, batch: number, time: number): void {
  const elements = batch * time * model.vocabularySize;
  if (elements < 2 ** 31) return;
  throw new RangeError(
    `batch · time · vocabularySize is ${elements}: it must be below ${2 ** 31}; choose a smaller ` +
      'batch or time',
  );
}
