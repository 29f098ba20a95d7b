import * as onnxruntime from 'onnxruntime-node';
import { GraphBuilder } from '../../compiler/graph-builder.ts';
import { writeOnnxModel } from '../../compiler/onnx-model.ts';
import { createRandom } from '../random.ts';
import { processorMs, timeMs } from '../statistics.ts';

const SHAPES: readonly (readonly [rows: number, inner: number, columns: number])[] = [
  [1024, 512, 10_000],
  [1024, 1024, 1024],
  [512, 512, 512],
];

export interface ProductRate {
  /** Runs each product once. */
  measure(): Promise<void>;
  /** The best that was seen, 10⁹ floating-point operations per second. */
  bestGflops(): number;
  dispose(): Promise<void>;
}

/** The best rate of a few large products through the same engine: what the machine can do. */
export async function prepareProductRate(
  threads: number,
  processorTime = false,
): Promise<ProductRate> {
  const measure = processorTime ? processorMs : timeMs;
  const random = createRandom(1);
  const products = await Promise.all(
    SHAPES.map(async ([rows, inner, columns]) => {
      const session = await productSession([rows, inner, columns], threads);
      const matrix = (shape: readonly [number, number]) => {
        const data = Float32Array.from({ length: shape[0] * shape[1] }, () => random() - 0.5);
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
        const ms = await measure(() => session.run(feeds));
        best = Math.max(best, flop / ms / 1e6);
      }
    },
    async dispose() {
      await Promise.all(products.map(({ session }) => session.release()));
    },
  };
}

/** One element comes out, so that copying the result isn't part of the figure. */
async function productSession(
  [rows, inner, columns]: readonly [number, number, number],
  threads: number,
): Promise<onnxruntime.InferenceSession> {
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
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
}
