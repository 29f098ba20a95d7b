import * as layers from '@tensorflow/tfjs-layers';

const { layers: make, regularizers } = layers;
/** The default of recurrent layers needs operations as methods, which are another package's. */
const recurrent = { units: 3, recurrentInitializer: 'glorotUniform' } as const;

export interface Particulars {
  readonly batch?: number;
  /** How many inputs it takes, all of the one shape; default 1. */
  readonly inputs?: number;
  /** Its inputs are whole numbers below this. */
  readonly integersBelow?: number;
  /** TensorFlow.js has none for it, or a wrong one. */
  readonly gradient?: false;
}

/** Every kind of layer that learns, regularises or moves data, with the shape of one example. */
export const layerKinds: Readonly<
  Record<
    string,
    readonly [layer: () => layers.layers.Layer, shape: readonly number[], particulars?: Particulars]
  >
> = {
  dense: [() => make.dense({ units: 3, activation: 'tanh' }), [4]],
  'dense over sequences': [() => make.dense({ units: 3, activation: 'relu' }), [5, 4]],
  'dense with a regulariser': [
    () => make.dense({ units: 3, kernelRegularizer: regularizers.l1l2(), useBias: false }),
    [4],
  ],
  embedding: [() => make.embedding({ inputDim: 5, outputDim: 3 }), [4], { integersBelow: 5 }],
  add: [() => make.add(), [4], { inputs: 3 }],
  average: [() => make.average(), [4], { inputs: 2 }],
  concatenate: [() => make.concatenate({ axis: 1 }), [3, 2], { inputs: 2 }],
  maximum: [() => make.maximum(), [4], { inputs: 2 }],
  minimum: [() => make.minimum(), [4], { inputs: 2 }],
  multiply: [() => make.multiply(), [4], { inputs: 2 }],
  dot: [() => make.dot({ axes: 1, normalize: true }), [4, 2], { inputs: 2 }],
  conv1d: [() => make.conv1d({ filters: 3, kernelSize: 3, padding: 'same' }), [6, 2]],
  conv2d: [() => make.conv2d({ filters: 3, kernelSize: 3, activation: 'elu' }), [6, 6, 2]],
  'conv2d, channels first': [
    () => make.conv2d({ filters: 3, kernelSize: 3, dataFormat: 'channelsFirst' }),
    [2, 6, 6],
  ],
  'conv2d with strides': [() => make.conv2d({ filters: 3, kernelSize: 3, strides: 2 }), [7, 7, 2]],
  conv2dTranspose: [
    () => make.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, padding: 'same' }),
    [4, 4, 2],
  ],
  conv3d: [() => make.conv3d({ filters: 2, kernelSize: 2 }), [3, 4, 4, 2]],
  conv3dTranspose: [
    () => make.conv3dTranspose({ filters: 2, kernelSize: 2 }),
    [2, 3, 3, 2],
    { gradient: false },
  ],
  maxPooling3d: [() => make.maxPooling3d({ poolSize: 2 }), [4, 4, 4, 2]],
  averagePooling3d: [() => make.averagePooling3d({ poolSize: 2 }), [4, 4, 4, 2]],
  convLstm2d: [
    () =>
      make.convLstm2d({
        filters: 2,
        kernelSize: 2,
        recurrentInitializer: 'glorotUniform',
      }),
    [2, 4, 4, 1],
  ],
  depthwiseConv2d: [() => make.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2 }), [5, 5, 2]],
  'depthwiseConv2d with strides': [
    () => make.depthwiseConv2d({ kernelSize: 3, strides: 2, padding: 'same' }),
    [5, 5, 2],
  ],
  separableConv2d: [() => make.separableConv2d({ filters: 3, kernelSize: 3 }), [5, 5, 2]],
  // For more than one image tfjs's own gradient on the CPU is wrong.
  upSampling2d: [() => make.upSampling2d({ size: [2, 3] }), [3, 3, 2], { batch: 1 }],
  'upSampling2d, bilinear': [() => make.upSampling2d({ interpolation: 'bilinear' }), [3, 3, 2]],
  zeroPadding2d: [() => make.zeroPadding2d({ padding: [1, 2] }), [3, 3, 2]],
  cropping2D: [
    () =>
      make.cropping2D({
        cropping: [
          [1, 0],
          [0, 1],
        ],
      }),
    [4, 4, 2],
  ],
  maxPooling1d: [() => make.maxPooling1d({ poolSize: 2 }), [6, 3]],
  averagePooling1d: [() => make.averagePooling1d({ poolSize: 2 }), [6, 3]],
  globalAveragePooling1d: [() => make.globalAveragePooling1d(), [5, 3]],
  globalMaxPooling2d: [() => make.globalMaxPooling2d({}), [4, 4, 2]],
  averagePooling2d: [() => make.averagePooling2d({ poolSize: 2 }), [4, 4, 2]],
  maxPooling2d: [() => make.maxPooling2d({ poolSize: 3, strides: 2 }), [7, 7, 2]],
  globalAveragePooling2d: [() => make.globalAveragePooling2d({}), [4, 4, 3]],
  globalMaxPooling1d: [() => make.globalMaxPooling1d({}), [5, 3]],
  batchNormalization: [() => make.batchNormalization(), [5]],
  'batchNormalization of images': [() => make.batchNormalization(), [4, 4, 3]],
  layerNormalization: [() => make.layerNormalization(), [4, 5]],
  'layerNormalization over two axes': [() => make.layerNormalization({ axis: [1, 2] }), [4, 5, 3]],
  simpleRNN: [() => make.simpleRNN(recurrent), [4, 2]],
  gru: [() => make.gru({ ...recurrent, returnSequences: true }), [4, 2]],
  lstm: [() => make.lstm(recurrent), [4, 2]],
  'lstm with dropout': [
    () => make.lstm({ ...recurrent, dropout: 0.3, recurrentDropout: 0.2 }),
    [4, 2],
  ],
  'lstm backwards, without biases': [
    () => make.lstm({ ...recurrent, goBackwards: true, useBias: false, implementation: 1 }),
    [4, 2],
  ],
  'gru with dropout': [
    () => make.gru({ ...recurrent, dropout: 0.3, recurrentDropout: 0.2, implementation: 2 }),
    [4, 2],
  ],
  'rnn of a gruCell': [
    () => make.rnn({ cell: make.gruCell(recurrent), returnSequences: true }),
    [4, 2],
  ],
  'rnn of stacked cells': [
    () => make.rnn({ cell: [make.lstmCell(recurrent), make.simpleRNNCell(recurrent)] }),
    [4, 2],
  ],
  bidirectional: [
    () => make.bidirectional({ layer: make.lstm(recurrent) as layers.RNN, mergeMode: 'sum' }),
    [4, 2],
  ],
  'bidirectional, sequences joined': [
    () => {
      const layer = make.gru({ ...recurrent, returnSequences: true }) as layers.RNN;
      return make.bidirectional({ layer, mergeMode: 'concat' });
    },
    [4, 2],
  ],
  'timeDistributed conv2d': [
    () => make.timeDistributed({ layer: make.conv2d({ filters: 2, kernelSize: 2 }) }),
    [3, 4, 4, 1],
  ],
  timeDistributed: [() => make.timeDistributed({ layer: make.dense({ units: 2 }) }), [4, 3]],
  dropout: [() => make.dropout({ rate: 0.4 }), [20]],
  'dropout with a shape': [() => make.dropout({ rate: 0.4, noiseShape: [3, 1, 3] }), [4, 3]],
  spatialDropout1d: [() => make.spatialDropout1d({ rate: 0.4 }), [4, 6]],
  gaussianNoise: [() => make.gaussianNoise({ stddev: 0.3 }), [10]],
  gaussianDropout: [() => make.gaussianDropout({ rate: 0.3 }), [10]],
  alphaDropout: [() => make.alphaDropout({ rate: 0.3 }), [10]],
  rescaling: [() => make.rescaling({ scale: 0.5, offset: 1 }), [4]],
  flatten: [() => make.flatten(), [3, 2]],
  reshape: [() => make.reshape({ targetShape: [3, 2] }), [6]],
  permute: [() => make.permute({ dims: [2, 1] }), [3, 2]],
  repeatVector: [() => make.repeatVector({ n: 3 }), [4]],
  masking: [() => make.masking({ maskValue: 0 }), [4, 2], { gradient: false }],
  prelu: [() => make.prelu({ alphaInitializer: 'ones' }), [4]],
  elu: [() => make.elu(), [4]],
  leakyReLU: [() => make.leakyReLU({ alpha: 0.1 }), [4]],
  thresholdedReLU: [() => make.thresholdedReLU({ theta: 0.2 }), [4], { gradient: false }],
  reLU: [() => make.reLU({ maxValue: 0.5 }), [4]],
  softmax: [() => make.softmax(), [4]],
  ...Object.fromEntries(
    [
      'hardSigmoid',
      'linear',
      'relu6',
      'selu',
      'sigmoid',
      'softplus',
      'softsign',
      'swish',
      'mish',
      'gelu',
    ].map((activation) => [
      `the activation ${activation}`,
      [() => make.activation({ activation: activation as 'relu' }), [6]] as const,
    ]),
  ),
};
