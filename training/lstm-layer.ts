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

/** One step and what its gradient needs of it. */
interface LstmStep {
  readonly before: LstmState;
  readonly after: LstmState;
  /** σ(i), σ(f), σ(o), tanh(g), each [batch, H]. */
  readonly gates: readonly [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
  readonly recurrentNorm: Normalisation;
  readonly cellNorm: Normalisation;
  /** tanh(LN(c')), [batch, H] */
  readonly shown: tf.Tensor2D;
}

function lstmStep(
  parameters: LstmLayerParameters,
  projected: tf.Tensor2D,
  before: LstmState,
): LstmStep {
  const recurrentNorm = normalise(tf.matMul(before.hidden, parameters.recurrentWeights));
  const scaled = tf.mul(recurrentNorm.normalised, parameters.recurrentGain);
  const sums = tf.split<tf.Tensor2D>(tf.add(scaled, projected), 4, 1);
  const input = tf.sigmoid(sums[0]!);
  const forget = tf.sigmoid(sums[1]!);
  const output = tf.sigmoid(sums[2]!);
  const candidate = tf.tanh(sums[3]!);
  const cell = tf.add<tf.Tensor2D>(tf.mul(forget, before.cell), tf.mul(input, candidate));
  const cellNorm = normalise(cell);
  const scaledCell = tf.mul(cellNorm.normalised, parameters.cellGain);
  const shown = tf.tanh(tf.add<tf.Tensor2D>(scaledCell, parameters.cellBias));
  const after = { hidden: tf.mul<tf.Tensor2D>(output, shown), cell };
  return {
    before,
    after,
    gates: [input, forget, output, candidate],
    recurrentNorm,
    cellNorm,
    shown,
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

function lstmStepBackward(
  parameters: LstmLayerParameters,
  { before, gates, recurrentNorm, cellNorm, shown }: LstmStep,
  outputGradient: tf.Tensor2D,
  later: LstmStepGradients | undefined,
): LstmStepGradients {
  const [input, forget, output, candidate] = gates;
  let hiddenGradient = outputGradient;
  if (later !== undefined) {
    const through = tf.matMul(later.product, parameters.recurrentWeights, false, true);
    hiddenGradient = tf.add(outputGradient, through);
  }
  const scaledCell = tf.mul<tf.Tensor2D>(tf.mul(hiddenGradient, output), tanhSlope(shown));
  let cell = normaliseBackward(cellNorm, tf.mul(scaledCell, parameters.cellGain));
  if (later !== undefined) cell = tf.add(cell, later.cellBefore);
  const sums = [
    tf.mul<tf.Tensor2D>(tf.mul(cell, candidate), sigmoidSlope(input)),
    tf.mul<tf.Tensor2D>(tf.mul(cell, before.cell), sigmoidSlope(forget)),
    tf.mul<tf.Tensor2D>(tf.mul(hiddenGradient, shown), sigmoidSlope(output)),
    tf.mul<tf.Tensor2D>(tf.mul(cell, input), tanhSlope(candidate)),
  ];
  const gateGradient = tf.concat2d(sums, 1);
  return {
    gates: gateGradient,
    product: normaliseBackward(recurrentNorm, tf.mul(gateGradient, parameters.recurrentGain)),
    scaledCell,
    cellBefore: tf.mul(cell, forget),
  };
}

/** The sigmoid's derivative, from its value. */
function sigmoidSlope(value: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(value, tf.sub(1, value));
}

/** The hyperbolic tangent's derivative, from its value. */
function tanhSlope(value: tf.Tensor2D): tf.Tensor2D {
  return tf.sub(1, tf.square(value));
}

function concatRows(parts: tf.Tensor2D[]): tf.Tensor2D {
  return tf.concat2d(parts, 0);
}
