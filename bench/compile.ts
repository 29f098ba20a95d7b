import os from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { compile, type EngineName } from '../compiler/index.ts';
import { median, processorMs } from './statistics.ts';

const BATCH = 64;
const ENGINES: readonly EngineName[] = ['tfjs-cpu', 'tfjs-wasm', 'onnx-cpu'];
const MEASURED_MS = 4000;
const WARM_UP_STEPS = 1;

interface Example {
  readonly title: string;
  readonly inputShape: readonly number[];
  readonly layers: () => layers.layers.Layer[];
}

const { layers: make } = layers;
const dense = (units: number, activation: 'relu' | 'softmax') => make.dense({ units, activation });

const EXAMPLES: readonly Example[] = [
  {
    title: 'dense 784-512-512-10',
    inputShape: [784],
    layers: () => [dense(512, 'relu'), dense(512, 'relu'), dense(10, 'softmax')],
  },
  {
    title: 'convolutional, 28×28: 16 and 32 filters of 3×3, dropout, dense 128',
    inputShape: [28, 28, 1],
    layers: () => [
      make.conv2d({ filters: 16, kernelSize: 3, activation: 'relu' }),
      make.maxPooling2d({ poolSize: 2 }),
      make.conv2d({ filters: 32, kernelSize: 3, activation: 'relu' }),
      make.maxPooling2d({ poolSize: 2 }),
      make.flatten(),
      make.dropout({ rate: 0.25 }),
      dense(128, 'relu'),
      dense(10, 'softmax'),
    ],
  },
];

/**
 * Prints what one training step of a `tf.sequential` model takes on each engine: time of the
 * processor, as all run on one thread, so that what else the machine does matters less.
 */
export async function benchCompile(): Promise<void> {
  // Where the variables begin and what initialises them.
  await tf.setBackend('cpu');
  const cpu = os.cpus()[0]?.model.trim() ?? 'unknown processor';
  console.log(
    `Training steps of tf.sequential models with Adam, batch ${BATCH}\n` +
      `${new Date().toISOString()} · ${cpu} · ${process.platform}-${process.arch} · ` +
      `Node ${process.version} · 1 thread`,
  );
  for (const example of EXAMPLES) {
    console.log(example.title);
    let slowest: number | undefined;
    for (const engine of ENGINES) {
      const ms = await measure(example, engine).catch((error: Error) => error.message);
      if (typeof ms === 'string') {
        console.log(`  ${engine.padEnd(10)} ${ms.split('\n')[0]}`);
        continue;
      }
      slowest ??= ms;
      const ratio = (slowest / ms).toFixed(1);
      console.log(
        `  ${engine.padEnd(10)} ${ms.toFixed(1).padStart(8)} ms of processor time   ${ratio} ×`,
      );
    }
  }
}

async function measure(example: Example, engine: EngineName): Promise<number> {
  const [first, ...rest] = example.layers();
  const model = layers.sequential();
  // A model of layers learns its input's shape from its first one.
  model.add(make.inputLayer({ inputShape: [...example.inputShape] }));
  for (const layer of [first!, ...rest]) model.add(layer);
  const optimizer = tf.train.adam(1e-3);
  const step = await compile(
    ({ x, y }) => {
      const loss = () => {
        const predictions = model.apply(x, { training: true }) as tf.Tensor;
        return tf.mean(layers.metrics.categoricalCrossentropy(y, predictions)) as tf.Scalar;
      };
      return { loss: optimizer.minimize(loss, true)! };
    },
    {
      x: { shape: [BATCH, ...example.inputShape], dtype: 'float32' },
      y: { shape: [BATCH, 10], dtype: 'float32' },
    },
    { engine, threads: 1 },
  );
  const size = BATCH * example.inputShape.reduce((product, each) => product * each, 1);
  const inputs = {
    x: Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 1000) / 1000),
    y: Float32Array.from({ length: BATCH * 10 }, (_, i) =>
      Number(i % 10 === (3 * Math.floor(i / 10)) % 10),
    ),
  };
  const times: number[] = [];
  const end = performance.now() + MEASURED_MS;
  while (times.length < WARM_UP_STEPS + 1 || performance.now() < end) {
    times.push(await processorMs(() => step.run(inputs)));
  }
  await step.dispose();
  model.dispose();
  return median(times.slice(WARM_UP_STEPS));
}
