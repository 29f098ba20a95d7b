import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as tf from '@tensorflow/tfjs-core';
import test from 'ava';
import { compileStep, createState, type StepFunction } from '../../compiler/index.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const MEGABYTE = 2 ** 20;
const shape = [1024, 512];
const bytes = 4 * 1024 * 512;

/** Momentum on a matrix of 2 MB, whose gradient comes out of a product. */
const momentum: StepFunction = ({ w, m }, { x, y }) => {
  const gradient = tf.matMul(x as tf.Tensor2D, y as tf.Tensor2D);
  const moment = tf.add(tf.mul(m!, 0.9), gradient);
  return {
    state: { w: tf.sub(w!, tf.mul(moment, 1e-3)), m: moment },
    outputs: { norm: tf.sum(tf.square(gradient)) },
  };
};

async function prepare() {
  const state = createState({ w: { shape, dtype: 'float32' }, m: { shape, dtype: 'float32' } });
  const options = {
    state,
    inputs: { x: { shape: [1024, 4], dtype: 'float32' }, y: { shape: [4, 512], dtype: 'float32' } },
  } as const;
  return { state, step: await compileStep(momentum, { ...options, engine: 'onnx-cpu' }) };
}

const inputs = { x: new Float32Array(1024 * 4).fill(1), y: new Float32Array(4 * 512).fill(1) };

/** What is left once garbage is gone; buffers are freed a turn after the arrays over them. */
async function residentBytes(): Promise<number> {
  for (let turn = 0; turn < 3; turn++) {
    collectGarbage();
    await nextTurn();
  }
  return process.memoryUsage().rss;
}

test.serial('memory stays flat over 300 steps', async (t) => {
  const { step } = await prepare();
  const run = async (count: number) => {
    for (let i = 0; i < count; i++) await step.run(inputs);
  };
  await run(50);
  const before = await residentBytes();
  await run(300);
  // Keeping anything of each step's 2 MB gradient would take 600 MB.
  const grown = (await residentBytes()) - before;
  t.true(grown < 40 * MEGABYTE, `grown by ${Math.round(grown / MEGABYTE)} MB`);
  await step.dispose();
});

test.serial('dispose gives a step’s and a state’s memory back', async (t) => {
  const cycle = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const { state, step } = await prepare();
      await step.run(inputs);
      await step.dispose();
      state.dispose();
    }
  };
  await cycle(5);
  const before = await residentBytes();
  await cycle(30);
  // The states alone are 30 times 4 MB, with the native arenas and gradients more than twice that.
  const grown = (await residentBytes()) - before;
  t.true(grown < (30 * 2 * bytes) / 2, `grown by ${Math.round(grown / MEGABYTE)} MB`);
});

test.serial('memory stays flat over 10,000 steps', async (t) => {
  const state = createState({ w: { shape: [64, 64], dtype: 'float32' } });
  const step = await compileStep(
    ({ w }, { x }) => ({
      state: { w: tf.mul(tf.add(w!, tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)), 0.5) },
      outputs: { all: tf.relu(w!) },
    }),
    { state, inputs: { x: { shape: [64, 64], dtype: 'float32' } }, engine: 'onnx-cpu' },
  );
  const x = new Float32Array(64 * 64);
  const run = async (count: number) => {
    for (let i = 0; i < count; i++) await step.run({ x });
  };
  await run(1000);
  const before = await residentBytes();
  const { external, arrayBuffers } = process.memoryUsage();
  await run(10_000);
  const grown = (await residentBytes()) - before;
  const after = process.memoryUsage();
  // Each step's output alone is 16 KB: all of them would be 160 MB. The heap itself may grow by some tens.
  t.true(grown < 60 * MEGABYTE, `resident memory grew by ${grown} bytes`);
  t.true(after.external - external < MEGABYTE, `external: ${external} → ${after.external}`);
  t.true(after.arrayBuffers - arrayBuffers < MEGABYTE);
  await step.dispose();
  state.dispose();
});
