import type { Weights } from '../../../actors/exchange/weight-delta.ts';
import { GradientEncoder } from '../../../actors/workers/gradient-coding.ts';
import type { Contribution } from '../../../actors/workers/gradient-receiver.ts';
import type { ParameterServerOptions } from '../../../actors/workers/parameter-server.ts';
import { createModel, type ModelConfig, weightShapes } from '../../../training/index.ts';

const model: ModelConfig = {
  kind: 'lstm',
  vocabularySize: 5,
  embeddingSize: 2,
  hiddenSize: 2,
  layers: 1,
  time: 2,
};
const shapes = weightShapes(createModel(model));
/** A server of two workers of a model with a few weights. */
export const serverOptions: ParameterServerOptions = {
  replica: 'replica-1',
  model,
  seed: 3,
  // Plain descent at rate 1: what an update subtracts is the mean gradient itself.
  optimizer: { kind: 'sgd' },
  weightDecay: 0,
  schedule: { kind: 'constant', peak: 1, warmupSteps: 0, steps: 1 },
  workers: 2,
  quorum: 2,
  asynchronous: false,
  checkpointIntervalSteps: 1000,
  engine: 'auto',
  threads: 1,
};

/** All of a worker's gradients are `gradient`. */
export function share(
  worker: number,
  version: number,
  gradient: number,
  loss = gradient,
): Contribution {
  const gradients: Record<string, Float32Array> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const length = shape.reduce((product, size) => product * size, 1);
    gradients[name] = new Float32Array(length).fill(gradient);
  }
  const coded = new GradientEncoder({ codec: 'f32', shapes }).encode(gradients);
  return { worker, version, step: version, gradients: coded, statistics: {}, measures: { loss } };
}

export function lowered(weights: Weights, by: number): Weights {
  return Object.fromEntries(
    Object.entries(weights).map(([name, values]) => [name, values.map((value) => value - by)]),
  );
}
