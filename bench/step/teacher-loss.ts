import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileStep, createState, type StateStore } from '../../compiler/index.ts';
import { openBatches, prepareCorpus } from '../../datasets/index.ts';
import {
  createTrainingStep,
  defaultObjective,
  initialTrainingState,
  lstmModel,
  teacherMatrices,
} from '../../training/index.ts';
import type { Precision } from './teacher.ts';

const REPLICAS = 2;
const STEPS = 500;
const LAST_STEPS = 100;
const BURN_IN_STEPS = 100;
const EXCHANGE_INTERVAL_STEPS = 25;
const WARMUP_STEPS = 50;
const LEARNING_RATE = 0.004;
const sizes = { vocabularySize: 2048, embeddingSize: 64, hiddenSize: 128, layers: 2 } as const;
const window = { batch: 16, time: 32 } as const;

export const lossSetting =
  `two models of ${sizes.layers} layers of ${sizes.hiddenSize} units, vocabulary ${sizes.vocabularySize}, ` +
  `batch ${window.batch}, ${window.time} steps; ${STEPS} steps on the default text, teachers from step ` +
  `${BURN_IN_STEPS} on, exchanged every ${EXCHANGE_INTERVAL_STEPS}; mean of the last ${LAST_STEPS} steps’ losses ` +
  'on text that is new to the models, nats a piece';

/** The loss of two models that teach one another after some hundred steps, by how their teachers compute. */
export async function teacherLosses(
  precisions: readonly Precision[],
): Promise<ReadonlyMap<Precision, number>> {
  const directory = await mkdtemp(join(tmpdir(), 'codistill-teacher-'));
  try {
    const corpus = await prepareCorpus({
      vocabularySize: sizes.vocabularySize,
      replicas: REPLICAS,
      heldOutFraction: 0.01,
      directory,
    });
    const batches = await Promise.all(
      corpus.shards.map(({ path }) =>
        openBatches({ kind: 'text', parts: [{ path, from: 0, to: 1 }], ...window }),
      ),
    );
    const losses = new Map<Precision, number>();
    for (const precision of precisions) losses.set(precision, await train(precision, batches));
    return losses;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function train(
  precision: Precision,
  batches: readonly Awaited<ReturnType<typeof openBatches>>[],
): Promise<number> {
  const replicas = await Promise.all(batches.map((_, index) => prepareReplica(precision, index)));
  let sum = 0;
  for (let step = 0; step < STEPS; step++) {
    const taught = step >= BURN_IN_STEPS;
    if (taught && step % EXCHANGE_INTERVAL_STEPS === 0) exchange(replicas);
    const learningRate = LEARNING_RATE * Math.min(1, (step + 1) / WARMUP_STEPS);
    for (const [index, { compiled }] of replicas.entries()) {
      const { columns } = await batches[index]!.read(step);
      const { loss } = await compiled.run({
        ...columns,
        learningRate: Float32Array.of(learningRate),
        distillWeight: Float32Array.of(Number(taught)),
      });
      if (step >= STEPS - LAST_STEPS) sum += loss![0]! / (LAST_STEPS * replicas.length);
    }
  }
  for (const { compiled, state } of replicas) {
    await compiled.dispose();
    state.dispose();
  }
  return sum;
}

async function prepareReplica(precision: Precision, index: number) {
  const model = lstmModel({ ...sizes, time: window.time });
  const config = {
    model,
    batch: window.batch,
    teachers: [model],
    optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    weightDecay: 0,
    clipNorm: 1,
    // A ramp makes the weight of what teachers say an input.
    objective: { ...defaultObjective, rampSteps: 1 },
  } as const;
  const { step, state: specs, inputs } = createTrainingStep(config);
  const state = createState(specs);
  for (const [name, values] of Object.entries(initialTrainingState(config, index + 1))) {
    state.write(name, values);
  }
  const int8Weights = precision === 'int8' ? teacherMatrices(specs) : [];
  const compiled = await compileStep(step, { state, inputs, engine: 'onnx-cpu', int8Weights });
  return { compiled, state, weights: Object.keys(model.parameters) };
}

/** Each takes the other as it is now for its teacher. */
function exchange(
  replicas: readonly { readonly state: StateStore; readonly weights: readonly string[] }[],
): void {
  for (const [index, { state, weights }] of replicas.entries()) {
    const other = replicas[(index + 1) % replicas.length]!.state;
    for (const name of weights) state.write(`teacher0/${name}`, other.read(`student/${name}`));
  }
}
