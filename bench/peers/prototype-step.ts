import * as tf from '@tensorflow/tfjs-core';
import * as onnxruntime from 'onnxruntime-node';
import type { Graph, Value } from '../../compiler/graph.ts';
import { outputName, writeOnnxModel } from '../../compiler/onnx-model.ts';
import { removeDeadCode } from '../../compiler/passes/dead-code.ts';
import { rewriteGraph } from '../../compiler/passes/rewrite-graph.ts';
import type { StepResult, TensorMap } from '../../compiler/step-function.ts';
import { inputPrefix, outputPrefix, statePrefix, traceStep } from '../../compiler/trace-step.ts';

/** B lanes of T word pieces, V word pieces in the vocabulary, embeddings of E and layers of H units. */
export interface PrototypeSizes {
  readonly V: number;
  readonly E: number;
  readonly H: number;
  readonly B: number;
  readonly T: number;
}

export interface PrototypeStep {
  run(tokens: Int32Array, targets: Int32Array): Promise<{ loss: number }>;
  dispose(): Promise<void>;
}

/**
 * The way of the prototype that the compiled step is measured against: a plain two-layer LSTM (no
 * layer norm) whose every time step multiplies [x, h] with the layer's weights, a one-hot loss,
 * weight gradients added up step by step as automatic gradients do, plain SGD as nodes of the graph,
 * no passes of ours, and weights that go in and come out of each run.
 */
export async function createPrototypeStep(
  sizes: PrototypeSizes,
  threads: number,
  random: () => number,
): Promise<PrototypeStep> {
  const { V, E, H, B, T } = sizes;
  const shapes = {
    embedding: [V, E],
    w0: [E + H, 4 * H],
    b0: [4 * H],
    w1: [H + H, 4 * H],
    b1: [4 * H],
    wo: [H, V],
    bo: [V],
  };
  const state = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: 'float32' as const }]),
  );
  const windows = { shape: [B, T], dtype: 'int32' as const };
  const step = (weights: TensorMap, { tokens, targets }: TensorMap) =>
    sgdStep(sizes, weights, tokens as tf.Tensor2D, targets as tf.Tensor2D);
  const { graph } = traceStep(step, state, { tokens: windows, targets: windows });
  const session = await onnxruntime.InferenceSession.create(
    writeOnnxModel(removeDeadCode(useOneHotOperator(graph))),
    {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
    },
  );
  const feeds: Record<string, onnxruntime.Tensor> = {};
  for (const [name, { shape }] of Object.entries(state)) {
    const length = shape.reduce((size, dimension) => size * dimension, 1);
    const data = Float32Array.from({ length }, () => (random() - 0.5) * 0.1);
    feeds[statePrefix + name] = new onnxruntime.Tensor('float32', data, shape);
  }
  return {
    async run(tokens, targets) {
      feeds[`${inputPrefix}tokens`] = new onnxruntime.Tensor('int32', tokens, [B, T]);
      feeds[`${inputPrefix}targets`] = new onnxruntime.Tensor('int32', targets, [B, T]);
      const results = await session.run(feeds);
      const resultOf = (key: string) => results[outputName(key)] as onnxruntime.Tensor;
      for (const name of Object.keys(state)) {
        feeds[statePrefix + name] = resultOf(statePrefix + name);
      }
      return { loss: resultOf(`${outputPrefix}loss`).data[0] as number };
    },
    dispose: () => session.release(),
  };
}

/** The prototype's one-hot was ONNX's own operator; the compiler's kernel is a comparison. */
function useOneHotOperator(graph: Graph): Graph {
  return rewriteGraph(graph, (node, builder) => {
    const [output] = node.outputs as [Value];
    const comparison = builder.producer(node.inputs[0]);
    if (node.operator !== 'Cast' || comparison?.operator !== 'Equal') return undefined;
    const [rows, classes] = comparison.inputs as [Value, Value];
    const inputs = [
      builder.cast(builder.reshape(rows, output.shape.slice(0, -1)), 'int64'),
      builder.splat(classes.shape[0]!, 'int64', [1]),
      builder.constant(Float32Array.of(0, 1), 'float32', [2]),
    ];
    return [builder.add('OneHot', inputs, output, { axis: -1 })];
  });
}

interface CellStep {
  readonly joined: tf.Tensor2D;
  readonly gates: readonly tf.Tensor2D[];
  readonly cellBefore: tf.Tensor2D;
  readonly cellTanh: tf.Tensor2D;
  readonly hidden: tf.Tensor2D;
}

function sgdStep(
  { V, E, H, B, T }: PrototypeSizes,
  weights: TensorMap,
  tokens: tf.Tensor2D,
  targets: tf.Tensor2D,
): StepResult {
  const at = <T extends tf.Tensor>(name: string) => weights[name] as T;
  const embedded = tf.gather(at<tf.Tensor2D>('embedding'), tokens);
  let sequence = tf.unstack(embedded, 1) as tf.Tensor2D[];
  const layers = [0, 1].map((layer) => {
    const steps = forwardLayer(sequence, at(`w${layer}`), at(`b${layer}`), [B, H]);
    sequence = steps.map((step) => step.hidden);
    return steps;
  });
  const hidden = tf.reshape<tf.Rank.R2>(tf.stack(sequence, 1), [B * T, H]);
  const logProbabilities = tf.logSoftmax(tf.add(tf.matMul(hidden, at('wo')), at('bo')));
  const oneHot = tf.oneHot(tf.reshape<tf.Rank.R1>(targets as tf.Tensor, [B * T]), V);
  const hits = tf.mul(logProbabilities, tf.cast(oneHot, 'float32'));
  const loss = tf.neg(tf.div(tf.sum(hits), B * T));

  const logits = tf.mul<tf.Tensor2D>(
    tf.sub(tf.exp(logProbabilities), tf.cast(oneHot, 'float32')),
    1 / (B * T),
  );
  const gradients: Record<string, tf.Tensor> = {
    wo: tf.matMul(hidden, logits, true, false),
    bo: tf.sum(logits, 0),
  };
  const hiddenGradient = tf.reshape(tf.matMul(logits, at('wo'), false, true), [B, T, H]);
  let outputGradients = tf.unstack(hiddenGradient, 1) as tf.Tensor2D[];
  for (const layer of [1, 0]) {
    const inputSize = layer === 0 ? E : H;
    const backward = backwardLayer(layers[layer]!, at(`w${layer}`), outputGradients, inputSize);
    gradients[`w${layer}`] = backward.weights;
    gradients[`b${layer}`] = backward.bias;
    outputGradients = backward.inputs;
  }
  const rows = tf.reshape(tf.stack(outputGradients, 1), [B * T, E]);
  const places = tf.reshape<tf.Rank.R1>(tokens as tf.Tensor, [B * T]);
  gradients.embedding = tf.unsortedSegmentSum(rows, places, V);
  const updated = Object.entries(weights).map(([name, weight]) => [
    name,
    tf.sub(weight, tf.mul(gradients[name]!, 0.1)),
  ]);
  return { state: Object.fromEntries(updated), outputs: { loss } };
}

function forwardLayer(
  inputs: readonly tf.Tensor2D[],
  weights: tf.Tensor2D,
  bias: tf.Tensor1D,
  shape: [number, number],
): CellStep[] {
  let hidden = tf.zeros<tf.Rank.R2>(shape);
  let cell = tf.zeros<tf.Rank.R2>(shape);
  return inputs.map((input) => {
    const cellBefore = cell;
    const joined = tf.concat2d([input, hidden], 1);
    const sums = tf.split<tf.Tensor2D>(tf.add(tf.matMul(joined, weights), bias), 4, 1);
    const [i, f, o] = [sums[0]!, sums[1]!, sums[3]!].map((sum) => tf.sigmoid<tf.Tensor2D>(sum));
    const g = tf.tanh<tf.Tensor2D>(sums[2]!);
    cell = tf.add<tf.Tensor2D>(tf.mul(f!, cellBefore), tf.mul(i!, g));
    const cellTanh = tf.tanh<tf.Tensor2D>(cell);
    hidden = tf.mul<tf.Tensor2D>(o!, cellTanh);
    return { joined, gates: [i!, f!, g, o!], cellBefore, cellTanh, hidden };
  });
}

function backwardLayer(
  steps: readonly CellStep[],
  weights: tf.Tensor2D,
  outputGradients: readonly tf.Tensor2D[],
  inputSize: number,
): { weights: tf.Tensor2D; bias: tf.Tensor1D; inputs: tf.Tensor2D[] } {
  const sigmoidSlope = (y: tf.Tensor2D) => tf.mul<tf.Tensor2D>(y, tf.sub(1, y));
  const tanhSlope = (y: tf.Tensor2D) => tf.sub<tf.Tensor2D>(1, tf.square(y));
  const inputs: tf.Tensor2D[] = [];
  let weightSum: tf.Tensor2D | undefined;
  let biasSum: tf.Tensor1D | undefined;
  let hiddenLater: tf.Tensor2D | undefined;
  let cellLater: tf.Tensor2D | undefined;
  for (const [time, { joined, gates, cellBefore, cellTanh, hidden }] of [
    ...steps.entries(),
  ].reverse()) {
    const [i, f, g, o] = gates as [tf.Tensor2D, tf.Tensor2D, tf.Tensor2D, tf.Tensor2D];
    const fromOutput = outputGradients[time]!;
    const ofHidden = hiddenLater ? tf.add<tf.Tensor2D>(fromOutput, hiddenLater) : fromOutput;
    const throughTanh = tf.mul<tf.Tensor2D>(tf.mul(ofHidden, o), tanhSlope(cellTanh));
    const ofCell = cellLater ? tf.add<tf.Tensor2D>(throughTanh, cellLater) : throughTanh;
    const sums = tf.concat2d(
      [
        tf.mul(tf.mul(ofCell, g), sigmoidSlope(i)),
        tf.mul(tf.mul(ofCell, cellBefore), sigmoidSlope(f)),
        tf.mul(tf.mul(ofCell, i), tanhSlope(g)),
        tf.mul(tf.mul(ofHidden, cellTanh), sigmoidSlope(o)),
      ],
      1,
    );
    const ofWeights = tf.matMul<tf.Tensor2D>(joined, sums, true, false);
    weightSum = weightSum ? tf.add<tf.Tensor2D>(weightSum, ofWeights) : ofWeights;
    const ofBias = tf.sum<tf.Tensor1D>(sums, 0);
    biasSum = biasSum ? tf.add<tf.Tensor1D>(biasSum, ofBias) : ofBias;
    const ofJoined = tf.matMul<tf.Tensor2D>(sums, weights, false, true);
    const [ofInput, ofBefore] = tf.split<tf.Tensor2D>(ofJoined, [inputSize, hidden.shape[1]], 1);
    inputs[time] = ofInput!;
    hiddenLater = ofBefore!;
    cellLater = tf.mul<tf.Tensor2D>(ofCell, f);
  }
  return { weights: weightSum!, bias: biasSum!, inputs };
}
