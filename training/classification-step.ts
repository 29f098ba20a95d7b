import * as tf from '@tensorflow/tfjs-core';
import type { StepResult, TensorMap } from '../compiler/index.ts';
import { withGradients } from './automatic-gradients.ts';
import { codistillationObjective } from './codistillation-objective.ts';
import { checkInteger, checkNumber } from './config-check.ts';
import { gradientClipping } from './gradient-clipping.ts';
import type { Network } from './network.ts';
import {
  checkOptimizerConfig,
  type OptimizerConfig,
  optimizerRule,
  optimizerSlots,
} from './optimizer.ts';
import { entriesUnder, floatSpecs, placeUnder, type Step, tidyStep } from './step-state.ts';

export interface ClassificationStepConfig {
  readonly network: Network;
  readonly batch: number;
  /** One per teacher, none during burn-in; they may be of another kind, with the same inputs. */
  readonly teachers: readonly Network[];
  readonly optimizer: OptimizerConfig;
  /** Factor of ½·|w|² in the objective, 0 or more; only for parameters with two axes or more. */
  readonly weightDecay: number;
  /** Largest global norm of the gradients; they stay as they are without it. */
  readonly clipNorm?: number;
  /** Weight of the distillation term, 0 or more; the paper's is 1. */
  readonly distillWeight: number;
}

/**
 * A student's training step for any `Network`: forward pass, its teachers', the codistillation
 * objective, automatic gradients and the optimizer.
 *
 * State, all float32: `student/<parameter>`, `statistics/<name>`, `<slot>/<parameter>` for each slot
 * of the optimizer (`optimizerSlots` has their first values), `steps` [] (steps taken),
 * `teacher<j>/<parameter or statistic>` (read only).
 * Inputs: the network's, `targets` int32, `learningRate` float32 [].
 * Outputs, float32 []: `loss` and `distillLoss` (nats per row, before the update; without weights),
 * `accuracy` (share of rows whose likeliest class is the target), `gradientNorm` (before clipping).
 *
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function createClassificationStep(config: ClassificationStepConfig): Step {
  checkClassificationStepConfig(config);
  const { network, batch, teachers } = config;
  const slots = Object.keys(optimizerSlots(config.optimizer));
  return {
    step: tidyStep((state, inputs) => classificationStep(config, state, inputs)),
    state: {
      ...floatSpecs('student', network.parameters),
      ...floatSpecs('statistics', network.statistics),
      ...Object.assign({}, ...slots.map((slot) => floatSpecs(slot, network.parameters))),
      steps: { shape: [], dtype: 'float32' },
      ...Object.assign(
        {},
        ...teachers.map(({ parameters, statistics }, index) =>
          floatSpecs(`teacher${index}`, { ...parameters, ...statistics }),
        ),
      ),
    },
    inputs: {
      ...network.inputs(batch),
      targets: { shape: network.targetShape(batch), dtype: 'int32' },
      learningRate: { shape: [], dtype: 'float32' },
    },
  };
}

function classificationStep(
  config: ClassificationStepConfig,
  state: TensorMap,
  inputs: TensorMap,
): StepResult {
  const { network } = config;
  const parameters = entriesUnder(state, 'student');
  const statistics = entriesUnder(state, 'statistics');
  const targets = tf.reshape<tf.Rank.R1>(inputs.targets!, [-1]);
  const teacherLogits = config.teachers.map((teacher, index) => {
    const values = entriesUnder(state, `teacher${index}`);
    return teacher.forward(values, values, inputs, 'inference').logits;
  });
  const { others, gradients } = withGradients(parameters, (values) => {
    const output = network.forward(values, statistics, inputs, 'training');
    const { objective, ...shown } = objectiveOf(config, output.logits, targets, teacherLogits);
    return { objective, others: { ...shown, ...placeUnder('statistics', output.statistics) } };
  });
  const { loss, distillLoss, accuracy, ...moved } = others as Record<string, tf.Tensor>;
  const decayed = decay(config.weightDecay, gradients, parameters);
  const { norm, factor } = gradientClipping(Object.values(decayed), config.clipNorm ?? 1);
  const scale = config.clipNorm === undefined ? tf.scalar(1) : factor;
  const updated = update(config, state, inputs.learningRate as tf.Scalar, decayed, scale);
  return {
    state: { ...updated, ...moved },
    outputs: {
      loss: loss!,
      distillLoss: distillLoss!,
      accuracy: accuracy!,
      gradientNorm: norm,
    },
  };
}

/** The codistillation objective, with the closed form of its gradient for the logits. */
function objectiveOf(
  { distillWeight }: ClassificationStepConfig,
  logits: tf.Tensor2D,
  targets: tf.Tensor1D,
  teacherLogits: readonly tf.Tensor2D[],
) {
  const inputs = { logits, targets, teacherLogits, distillWeight };
  const { loss, distillLoss, rowGradients } = codistillationObjective(inputs);
  const objective = tf.customGrad((...args) => {
    const save = args[1] as unknown as tf.GradSaveFunc;
    save([tf.div(rowGradients(), logits.shape[0])]);
    return {
      value: tf.add<tf.Scalar>(loss, tf.mul(distillLoss, distillWeight)),
      gradFunc: (dy, saved) => tf.mul(saved[0]!, dy),
    };
  });
  const hits = tf.equal(tf.argMax(logits, 1), targets);
  const accuracy = tf.mean(tf.cast(hits, 'float32'));
  return { objective: objective(logits) as tf.Scalar, loss, distillLoss, accuracy };
}

function decay(
  weightDecay: number,
  gradients: Readonly<Record<string, tf.Tensor>>,
  parameters: TensorMap,
): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(gradients).map(([name, gradient]) => {
      const parameter = parameters[name]!;
      const decays = weightDecay > 0 && parameter.rank > 1;
      return [name, decays ? tf.add(gradient, tf.mul(parameter, weightDecay)) : gradient];
    }),
  );
}

function update(
  config: ClassificationStepConfig,
  state: TensorMap,
  learningRate: tf.Scalar,
  gradients: Readonly<Record<string, tf.Tensor>>,
  gradientScale: tf.Scalar,
): Record<string, tf.Tensor> {
  const stepsTaken = state.steps as tf.Scalar;
  const rule = optimizerRule(config.optimizer, learningRate, stepsTaken, gradientScale);
  const slotNames = Object.keys(optimizerSlots(config.optimizer));
  const updated: Record<string, tf.Tensor> = { steps: tf.add(stepsTaken, 1) };
  for (const [name, gradient] of Object.entries(gradients)) {
    const slots = Object.fromEntries(slotNames.map((slot) => [slot, state[`${slot}/${name}`]!]));
    const next = rule(state[`student/${name}`]!, gradient, slots);
    updated[`student/${name}`] = next.parameter;
    for (const slot of slotNames) updated[`${slot}/${name}`] = next.slots[slot]!;
  }
  return updated;
}

function checkClassificationStepConfig(config: ClassificationStepConfig): void {
  checkInteger('batch', config.batch, 1);
  checkOptimizerConfig(config.optimizer);
  checkNumber('weightDecay', config.weightDecay, { atLeast: 0 });
  checkNumber('distillWeight', config.distillWeight, { atLeast: 0 });
  if (config.clipNorm !== undefined) checkNumber('clipNorm', config.clipNorm, { above: 0 });
  for (const [index, { classes }] of config.teachers.entries()) {
    if (classes === config.network.classes) continue;
    throw new RangeError(
      `teachers[${index}].classes is ${classes}: it must be ${config.network.classes}, as models ` +
        'can only be compared over the same classes',
    );
  }
}
