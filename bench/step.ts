import os from 'node:os';
import * as onnxruntime from 'onnxruntime-node';
import { GraphBuilder } from '../compiler/graph-builder.ts';
import { compileStep, createState } from '../compiler/index.ts';
import { writeOnnxModel } from '../compiler/onnx-model.ts';
import { createTrainingStep, initialiseParameters } from '../training/index.ts';
import { createPrototypeStep, type PrototypeSizes } from './peers/prototype-step.ts';

/** The sizes that issue and prototype measure: B lanes of T pieces, vocabulary V, widths E and H. */
const SIZES: PrototypeSizes = { V: 10_000, E: 256, H: 512, B: 32, T: 32 };
const THREADS = 1;
const SEED = 1;
const WARM_UP_STEPS = 2;
const MEASURED_STEPS = 8;

/**
 * Prints the speed of the compiled training step beside the prototype's way and the machine's own
 * product rate. The three take turns, so that what else the machine does hits all of them.
 */
export async function benchStep(): Promise<void> {
  const ours = await prepareOurs();
  const prototype = await createPrototypeStep(SIZES, THREADS, createRandom(SEED));
  const products = await prepareProducts();
  const times: Record<string, number[]> = { ours: [], prototype: [] };
  for (let turn = 0; turn < WARM_UP_STEPS + MEASURED_STEPS; turn++) {
    const { tokens, targets } = windowAt(turn);
    const oursMs = await timeMs(() => ours.run(tokens, targets));
    const prototypeMs = await timeMs(() => prototype.run(tokens, targets));
    await products.measure();
    if (turn < WARM_UP_STEPS) continue;
    times.ours!.push(oursMs);
    times.prototype!.push(prototypeMs);
  }
  report(times, products.bestGflops(), ours.compileMs);
  await Promise.all([ours.dispose(), prototype.dispose(), products.dispose()]);
}

async function prepareOurs() {
  const { V, E, H, B, T } = SIZES;
  const model = { vocabularySize: V, embeddingSize: E, hiddenSize: H, layers: 2 };
  const optimizer = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
  const { step, state, inputs } = createTrainingStep({
    model,
    batch: B,
    time: T,
    teachers: [],
    optimizer,
    clipNorm: 1,
    distillWeight: 1,
  });
  const store = createState(state);
  for (const [name, values] of Object.entries(initialiseParameters(model, SEED))) {
    store.read(`student/${name}`).set(values);
  }
  const start = performance.now();
  const compiled = await compileStep(step, {
    state: store,
    inputs,
    engine: 'onnx-cpu',
    threads: THREADS,
  });
  const compileMs = performance.now() - start;
  const learningRate = Float32Array.of(1e-3);
  return {
    compileMs,
    run: (tokens: Int32Array, targets: Int32Array) =>
      compiled.run({ tokens, targets, learningRate }),
    async dispose() {
      await compiled.dispose();
      store.dispose();
    },
  };
}

/** The best rate of a few large products through the same engine: what the machine can do. */
async function prepareProducts() {
  const { V, H, B, T } = SIZES;
  const shapes: readonly [rows: number, inner: number, columns: number][] = [
    [B * T, H, V],
    [1024, 1024, 1024],
    [512, 512, 512],
  ];
  const random = createRandom(SEED);
  const products = await Promise.all(
    shapes.map(async ([rows, inner, columns]) => {
      const session = await productSession(rows, inner, columns);
      const matrix = (shape: number[]) => {
        const data = Float32Array.from({ length: shape[0]! * shape[1]! }, () => random() - 0.5);
        return new onnxruntime.Tensor('float32', data, shape);
      };
      const feeds = { a: matrix([rows, inner]), b: matrix([inner, columns]) };
      return { flop: 2 * rows * inner * columns, session, feeds };
    }),
  );
  let best = 0;
  return {
    bestGflops: () => best,
    async measure() {
      for (const { flop, session, feeds } of products) {
        // One element comes out, so that copying the result isn't part of the figure.
        const ms = await timeMs(() => session.run(feeds));
        best = Math.max(best, flop / ms / 1e6);
      }
    },
    async dispose() {
      await Promise.all(products.map(({ session }) => session.release()));
    },
  };
}

async function productSession(rows: number, inner: number, columns: number) {
  const builder = new GraphBuilder();
  const a = { shape: [rows, inner], dtype: 'float32' } as const;
  const b = { shape: [inner, columns], dtype: 'float32' } as const;
  const product = builder.gemm(a, b);
  const corner = builder.add(
    'Slice',
    [product],
    { shape: [1, 1], dtype: 'float32' },
    { starts: [0, 0], ends: [1, 1], axes: [0, 1], steps: [1, 1] },
  );
  const graph = {
    inputs: new Map(Object.entries({ a, b })),
    nodes: builder.nodes,
    outputs: new Map([['corner', corner]]),
  };
  return onnxruntime.InferenceSession.create(writeOnnxModel(graph), {
    intraOpNumThreads: THREADS,
    interOpNumThreads: 1,
  });
}

function report(
  times: Readonly<Record<string, readonly number[]>>,
  productGflops: number,
  compileMs: number,
): void {
  const { V, E, H, B, T } = SIZES;
  const productParameters = E * 4 * H + H * 4 * H + 2 * H * 4 * H + H * V;
  const flop = 6 * B * T * productParameters;
  const { arch, platform } = process;
  const cpu = os.cpus()[0]?.model.trim() ?? 'unknown processor';
  console.log(
    `Training step of a 2-layer LSTM language model: vocabulary ${V}, embedding ${E}, ` +
      `${H} units, batch ${B}, ${T} steps`,
  );
  console.log(
    `${new Date().toISOString()} · ${cpu} · ${platform}-${arch} · Node ${process.version} · ` +
      `onnxruntime-node ${onnxruntime.env.versions.node ?? '?'} · ${THREADS} thread · seed ${SEED}`,
  );
  const rows = [
    ['ours (layer norm, clipping, Adam)', times.ours!],
    ['the prototype’s way (plain LSTM, SGD)', times.prototype!],
  ] as const;
  for (const [label, all] of rows) {
    const ms = median(all);
    const gflops = flop / ms / 1e6;
    console.log(
      `${label.padEnd(40)} ${ms.toFixed(0).padStart(6)} ms ` +
        `${((1000 * B * T) / ms).toFixed(0).padStart(6)} tokens/s ` +
        `${gflops.toFixed(1).padStart(6)} GFLOP/s  ` +
        `${((100 * gflops) / productGflops).toFixed(0).padStart(3)} % of the product rate`,
    );
  }
  const ratio = median(times.prototype!.map((ms, turn) => ms / times.ours![turn]!));
  console.log(`the machine’s product rate ${productGflops.toFixed(1)} GFLOP/s`);
  console.log(`ratio, median of ${MEASURED_STEPS} turns: ${ratio.toFixed(2)} × the prototype`);
  console.log(`compiling our step took ${compileMs.toFixed(0)} ms`);
}

function windowAt(turn: number): { tokens: Int32Array; targets: Int32Array } {
  const random = createRandom(SEED + turn);
  const draw = () =>
    Int32Array.from({ length: SIZES.B * SIZES.T }, () => Math.floor(random() * SIZES.V));
  return { tokens: draw(), targets: draw() };
}

async function timeMs(body: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await body();
  return performance.now() - start;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Mulberry32: enough for tokens and weights whose values don't matter. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
