import * as tf from '@tensorflow/tfjs-core';
import type { TensorMap, TensorSpec } from '../compiler/index.ts';
import { checkNumber } from './config-check.ts';
import { gradientClipping } from './gradient-clipping.ts';
import type { Shapes } from './model.ts';
import {
  checkOptimizerConfig,
  type OptimizerConfig,
  optimizerRule,
  optimizerSlots,
} from './optimizer.ts';
import { floatSpecs } from './step-state.ts';

/** How a step turns gradients into new parameters. */
export interface UpdateConfig {
  readonly optimizer: OptimizerConfig;
  /** Factor of ½·|w|² in the objective, 0 or more; only for parameters with two axes or more. */
  readonly weightDecay: number;
  /** Largest global norm of the gradients; they stay as they are without it. */
  readonly clipNorm?: number;
}

/** What an update keeps: `<slot>/<parameter>` for each slot of the optimizer, `steps` [] (steps taken). */
export function updateState(
  { optimizer }: UpdateConfig,
  parameters: Shapes,
): Record<string, TensorSpec> {
  return {
    ...Object.assign(
      {},
      ...Object.keys(optimizerSlots(optimizer)).map((slot) => floatSpecs(slot, parameters)),
    ),
    steps: { shape: [], dtype: 'float32' },
  };
}

/** Its first values, by the same names; all else begins as zero. */
export function initialUpdateState(
  { optimizer }: UpdateConfig,
  parameters: Shapes,
): Record<string, Float32Array> {
  const values: Record<string, Float32Array> = {};
  for (const [slot, first] of Object.entries(optimizerSlots(optimizer))) {
    if (first === 0) continue;
    for (const [name, shape] of Object.entries(parameters)) {
      const size = shape.reduce((product, dimension) => product * dimension, 1);
      values[`${slot}/${name}`] = new Float32Array(size).fill(first);
    }
  }
  return values;
}

/**
 * New values of parameters (`student/<parameter>`) and of the update's own state, and the gradients' norm before
 * clipping. `state` has their present values by the same names.
 */
export function updateParameters(
  config: UpdateConfig,
  state: TensorMap,
  gradients: TensorMap,
  learningRate: tf.Scalar,
): { readonly state: TensorMap; readonly gradientNorm: tf.Scalar } {
  const decayed = decay(config.weightDecay, gradients, state);
  const { norm, factor } = gradientClipping(Object.values(decayed), config.clipNorm ?? 1);
  const scale = config.clipNorm === undefined ? tf.scalar(1) : factor;
  const stepsTaken = state.steps as tf.Scalar;
  const rule = optimizerRule(config.optimizer, learningRate, stepsTaken, scale);
  const slotNames = Object.keys(optimizerSlots(config.optimizer));
  const updated: Record<string, tf.Tensor> = { steps: tf.add(stepsTaken, 1) };
  for (const [name, gradient] of Object.entries(decayed)) {
    const slots = Object.fromEntries(slotNames.map((slot) => [slot, state[`${slot}/${name}`]!]));
    const next = rule(state[`student/${name}`]!, gradient, slots);
    updated[`student/${name}`] = next.parameter;
    for (const slot of slotNames) updated[`${slot}/${name}`] = next.slots[slot]!;
  }
  return { state: updated, gradientNorm: norm };
}

/** @throws RangeError that names the field, its value and the values allowed. */
export function checkUpdateConfig({ optimizer, weightDecay, clipNorm }: UpdateConfig): void {
  checkOptimizerConfig(optimizer);
  checkNumber('weightDecay', weightDecay, { atLeast: 0 });
  if (clipNorm !== undefined) checkNumber('clipNorm', clipNorm, { above: 0 });
}

function decay(
  weightDecay: number,
  gradients: TensorMap,
  state: TensorMap,
): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(gradients).map(([name, gradient]) => {
      const parameter = state[`student/${name}`]!;
      const decays = weightDecay > 0 && parameter.rank > 1;
      return [name, decays ? tf.add(gradient, tf.mul(parameter, weightDecay)) : gradient];
    }),
  );
}
