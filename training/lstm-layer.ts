import * as tf from '@tensorflow/tfjs-core';
import { layerNorm, type Normalisation, normalise, normaliseBackward } from './layer-norm.ts';

/** Gates lie side by side in the order input, forget, output, candidate: width 4·H. */
export interface LstmLayerParameters {
  /** [inputSize, 4·H] */
  readonly inputWeights: tf.Tensor2D;
  /** [4·H] */
  readonly inputGain: tf.Tensor1D;
  /** [H, 4·H] */
  readonly recurrentWeights: tf.Tensor2D;
  /** [4·H] */
  readonly recurrentGain: tf.Tensor1D;
  /** [4·H]; one bias stands for that of both norms and of the gates, whose sum is all that acts. */
  readonly bias: tf.Tensor1D;
  /** [H] */
  readonly cellGain: tf.Tensor1D;
  /** [H] */
  readonly cellBias: tf.Tensor1D;
}

/** What a layer carries from step to step, each [batch, H]. */
export interface LstmState {
  readonly hidden: tf.Tensor2D;
  readonly cell: tf.Tensor2D;
}

export interface LstmLayer {
  /** Hidden values of all steps, time-major: [time·batch, H], row t·batch + b. */
  readonly output: tf.Tensor2D;
  /** After the last step. */
  readonly state: LstmState;
  /** Gradients, given the output's; none flows into the state that the window started from. */
  backward(outputGradient: tf.Tensor2D): LstmLayerGradients;
}

export interface LstmLayerGradients {
  /** [time·batch, inputSize] */
  readonly input: tf.Tensor2D;
  readonly parameters: LstmLayerParameters;
}

/**
 * A layer-normalised LSTM (Ba, Kiros, Hinton 2016, equations 20–22) over a window of `time` steps:
 *
 *     i, f, o, g = LN(x·inputWeights) + LN(h·recurrentWeights) + bias
 *     c' = σ(f)·c + σ(i)·tanh(g)         h' = σ(o)·tanh(LN(c'))
 *
 * `input` is time-major, [time·batch, inputSize]. Its product and norm are taken over all steps at
 * once; only the recurrent product is taken step by step. Backwards, each weight's gradient is
 * again one product over all steps.
 */
export function lstmLayer(
  parameters: LstmLayerParameters,
  input: tf.Tensor2D,
  state: LstmState,
  time: number,
): LstmLayer {
  const product = tf.matMul<tf.Tensor2D>(input, parameters.inputWeights);
  const projection = layerNorm(product, parameters.inputGain, parameters.bias);
  const steps: LstmStep[] = [];
  let last = state;
  for (const projected of tf.split<tf.Tensor2D>(projection.output, time, 0)) {
    const step = lstmStep(parameters, projected, last);
    steps.push(step);
    last = step.after;
  }
  const output = tf.concat2d(
    steps.map(({ after }) => after.hidden),
    0,
  );
  return {
    output,
    state: last,
    backward(outputGradient) {
      const recurrence = recurrenceBackward(parameters, steps, outputGradient);
      const projected = projection.backward(recurrence.gates);
      return {
        input: tf.matMul(projected.input, parameters.inputWeights, false, true),
        parameters: {
          inputWeights: tf.matMul(input, projected.input, true, false),
          inputGain: projected.gain,
          bias: projected.bias,
          ...recurrence.parameters,
        },
      };
    },
  };
}

/** One step and what its gradient needs of it; [batch, H] where nothing else is said. */
interface LstmStep {
  readonly before: LstmState;
  readonly after: LstmState;
  /** σ(i) */
  readonly input: tf.Tensor2D;
  /** σ(f) */
  readonly forget: tf.Tensor2D;
  /** σ(o) */
  readonly output: tf.Tensor2D;
  /** tanh(g) */
  readonly candidate: tf.Tensor2D;
  /** σ(i)·tanh(g) */
  readonly admitted: tf.Tensor2D;
  /** σ(f)·c */
  readonly kept: tf.Tensor2D;
  /** tanh(LN(c')) */
  readonly shown: tf.Tensor2D;
  readonly recurrentNorm: Normalisation;
  readonly cellNorm: Normalisation;
}

function lstmStep(
  parameters: LstmLayerParameters,
  projected: tf.Tensor2D,
  before: LstmState,
): LstmStep {
  const recurrentNorm = normalise(tf.matMul(before.hidden, parameters.recurrentWeights));
  const scaled = tf.mul(recurrentNorm.normalised, parameters.recurrentGain);
  const sums = tf.add<tf.Tensor2D>(scaled, projected);
  const gates = tf.split<tf.Tensor2D>(sums, 4, 1);
  const input = tf.sigmoid(gates[0]!);
  const forget = tf.sigmoid(gates[1]!);
  const output = tf.sigmoid(gates[2]!);
  const candidate = tf.tanh(gates[3]!);
  const admitted = tf.mul<tf.Tensor2D>(input, candidate);
  const kept = tf.mul<tf.Tensor2D>(forget, before.cell);
  const cell = tf.add<tf.Tensor2D>(kept, admitted);
  const cellNorm = normalise(cell);
  const scaledCell = tf.mul(cellNorm.normalised, parameters.cellGain);
  const shown = tf.tanh(tf.add<tf.Tensor2D>(scaledCell, parameters.cellBias));
  return {
    before,
    after: { hidden: tf.mul(output, shown), cell },
    input,
    forget,
    output,
    candidate,
    admitted,
    kept,
    shown,
    recurrentNorm,
    cellNorm,
  };
}

interface RecurrenceGradients {
  /** Of the gates' sums, all steps: [time·batch, 4·H]. */
  readonly gates: tf.Tensor2D;
  readonly parameters: Pick<
    LstmLayerParameters,
    'recurrentWeights' | 'recurrentGain' | 'cellGain' | 'cellBias'
  >;
}

/** Back through time over the window. What the parameters need is gathered and multiplied once. */
function recurrenceBackward(
  parameters: LstmLayerParameters,
  steps: readonly LstmStep[],
  outputGradient: tf.Tensor2D,
): RecurrenceGradients {
  const outputGradients = tf.split<tf.Tensor2D>(outputGradient, steps.length, 0);
  const gradients: LstmStepGradients[] = new Array(steps.length);
  let later: LstmStepGradients | undefined;
  for (let t = steps.length - 1; t >= 0; t--) {
    later = lstmStepBackward(parameters, steps[t]!, outputGradients[t]!, later);
    gradients[t] = later;
  }
  const gates = concatRows(gradients.map((step) => step.gates));
  const products = concatRows(gradients.map((step) => step.product));
  const cells = concatRows(gradients.map((step) => step.scaledCell));
  const hiddenBefore = concatRows(steps.map((step) => step.before.hidden));
  const recurrentNormalised = concatRows(steps.map((step) => step.recurrentNorm.normalised));
  const cellNormalised = concatRows(steps.map((step) => step.cellNorm.normalised));
  return {
    gates,
    parameters: {
      recurrentWeights: tf.matMul(hiddenBefore, products, true, false),
      recurrentGain: tf.sum(tf.mul(gates, recurrentNormalised), 0),
      cellGain: tf.sum(tf.mul(cells, cellNormalised), 0),
      cellBias: tf.sum(cells, 0),
    },
  };
}

interface LstmStepGradients {
  /** Of the gates' sums, [batch, 4·H]. */
  readonly gates: tf.Tensor2D;
  /** Of h·recurrentWeights, [batch, 4·H]. */
  readonly product: tf.Tensor2D;
  /** Of LN(c'), before its tanh, [batch, H]. */
  readonly scaledCell: tf.Tensor2D;
  /** Of the cell before the step, [batch, H]. */
  readonly cellBefore: tf.Tensor2D;
}

/**
 * Derivatives of products are taken from the products: with s = σ(z) that of s·y for z is
 * (s·y)·(1 − s), and that of y·tanh(z) is y − (y·tanh(z))·tanh(z).
 */
function lstmStepBackward(
  parameters: LstmLayerParameters,
  step: LstmStep,
  outputGradient: tf.Tensor2D,
  later: LstmStepGradients | undefined,
): LstmStepGradients {
  const { after, candidate, admitted, shown } = step;
  let hidden = outputGradient;
  if (later !== undefined) {
    hidden = tf.add(hidden, tf.matMul(later.product, parameters.recurrentWeights, false, true));
  }
  const scaledCell = tf.mul<tf.Tensor2D>(hidden, tf.sub(step.output, tf.mul(after.hidden, shown)));
  let cell = normaliseBackward(step.cellNorm, tf.mul(scaledCell, parameters.cellGain));
  if (later !== undefined) cell = tf.add(cell, later.cellBefore);
  const gates = tf.concat2d(
    [
      tf.mul<tf.Tensor2D>(tf.mul(cell, admitted), tf.sub(1, step.input)),
      tf.mul<tf.Tensor2D>(tf.mul(cell, step.kept), tf.sub(1, step.forget)),
      tf.mul<tf.Tensor2D>(tf.mul(hidden, after.hidden), tf.sub(1, step.output)),
      tf.mul<tf.Tensor2D>(cell, tf.sub(step.input, tf.mul(admitted, candidate))),
    ],
    1,
  );
  return {
    gates,
    product: normaliseBackward(step.recurrentNorm, tf.mul(gates, parameters.recurrentGain)),
    scaledCell,
    cellBefore: tf.mul(cell, step.forget),
  };
}

function concatRows(parts: tf.Tensor2D[]): tf.Tensor2D {
  return tf.concat2d(parts, 0);
}
