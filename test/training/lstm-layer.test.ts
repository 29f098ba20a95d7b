import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { type LstmLayerParameters, lstmLayer } from '../../training/lstm-layer.ts';
import { close, uniform } from './tensors.ts';

/** One lane, one input, two units; gates side by side: input, forget, output, candidate. */
const byHand: LstmLayerParameters = {
  // Mean 0 and variance 1 already, so that layer norm leaves the product with x = 1 as it is.
  inputWeights: tf.tensor2d([[1, -1, 1, -1, 1, -1, 1, -1]]),
  inputGain: tf.ones([8]),
  // The same for the product with h = (1, 0).
  recurrentWeights: tf.tensor2d([
    [-1, -1, -1, -1, 1, 1, 1, 1],
    [9, 9, 9, 9, 9, 9, 9, 9],
  ]),
  recurrentGain: tf.ones([8]),
  bias: tf.tensor1d([0, 0, 1, 1, 0, 0, 0, 0]),
  cellGain: tf.ones([2]),
  cellBias: tf.zeros([2]),
};

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));

test('one LSTM step worked by hand', (t) => {
  const layer = lstmLayer(
    byHand,
    tf.tensor2d([[1]]),
    { hidden: tf.tensor2d([[1, 0]]), cell: tf.tensor2d([[1, 2]]) },
    1,
  );
  // Sums: input (0, -2), forget (0, -2) + 1, output (2, 0), candidate (2, 0).
  const cell = [sigmoid(1) * 1 + sigmoid(0) * Math.tanh(2), sigmoid(-1) * 2];
  close(t, layer.state.cell, cell, 2e-5);
  close(t, layer.state.cell, [1.213073, 0.537883], 2e-5);
  // Layer norm brings two different values to 1 and -1, here 0.999956 of it because of epsilon.
  close(
    t,
    layer.output,
    [sigmoid(2) * Math.tanh(0.999956), -sigmoid(0) * Math.tanh(0.999956)],
    2e-5,
  );
  close(t, layer.output, [0.670794, -0.380788], 2e-5);
  close(t, layer.state.hidden, layer.output, 0);
});

test('gains and the cell bias act where the equations have them', (t) => {
  const state = { hidden: tf.tensor2d([[1, 0]]), cell: tf.tensor2d([[1, 2]]) };
  const layer = lstmLayer(
    {
      ...byHand,
      inputGain: tf.fill([8], 3),
      recurrentGain: tf.fill([8], 0.5),
      cellGain: tf.tensor1d([2, 2]),
      cellBias: tf.tensor1d([0.25, 0.5]),
    },
    tf.tensor2d([[1]]),
    state,
    1,
  );
  // Sums: input (2.5, -3.5), forget the same + 1, output (3.5, -2.5), candidate the same.
  const cell = [
    sigmoid(3.5) * 1 + sigmoid(2.5) * Math.tanh(3.5),
    sigmoid(-2.5) * 2 + sigmoid(-3.5) * Math.tanh(-2.5),
  ];
  close(t, layer.state.cell, cell, 5e-5);
  const shown = [Math.tanh(2 + 0.25), Math.tanh(-2 + 0.5)];
  close(t, layer.output, [sigmoid(3.5) * shown[0]!, sigmoid(-2.5) * shown[1]!], 5e-5);
});

test('rows of the output are time-major', (t) => {
  const { parameters, state } = randomLayer();
  const input = uniform([3 * 2, 5], 1, 9) as tf.Tensor2D;
  const whole = lstmLayer(parameters, input, state, 3);
  const first = lstmLayer(parameters, tf.slice2d(input, [0, 0], [2, 5]), state, 1);
  const rest = lstmLayer(parameters, tf.slice2d(input, [2, 0], [4, 5]), first.state, 2);
  close(t, whole.output, tf.concat([first.output, rest.output], 0), 1e-6);
  close(t, whole.state.cell, rest.state.cell, 1e-6);
});

/** Five inputs, four units, two lanes. */
function randomLayer() {
  const parameters: LstmLayerParameters = {
    inputWeights: uniform([5, 16], 1, 1) as tf.Tensor2D,
    inputGain: uniform([16], 1, 2) as tf.Tensor1D,
    recurrentWeights: uniform([4, 16], 1, 3) as tf.Tensor2D,
    recurrentGain: uniform([16], 1, 4) as tf.Tensor1D,
    bias: uniform([16], 1, 5) as tf.Tensor1D,
    cellGain: uniform([4], 1, 6) as tf.Tensor1D,
    cellBias: uniform([4], 1, 7) as tf.Tensor1D,
  };
  const hidden = uniform([2, 4], 1, 8, 'hidden') as tf.Tensor2D;
  const cell = uniform([2, 4], 1, 8, 'cell') as tf.Tensor2D;
  return { parameters, state: { hidden, cell } };
}
