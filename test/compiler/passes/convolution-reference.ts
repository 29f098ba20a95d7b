import type { Graph, Value } from '../../../compiler/graph.ts';
import type { GraphBuilder } from '../../../compiler/graph-builder.ts';
import { conv2dWindows } from '../../../compiler/kernels/convolution.ts';
import { sizeOf } from '../../../compiler/tensor-spec.ts';
import type { Windows } from '../../../compiler/windows.ts';
import { feedsFor, largestDifference, makeGraph, runGraph } from '../graphs.ts';

export interface Geometry {
  /** [batch, height, width, channels] */
  readonly images: readonly [number, number, number, number];
  /** [height, width, inputs, outputs] */
  readonly filter: readonly [number, number, number, number];
  readonly strides?: number;
  readonly dilations?: number;
  readonly pad?: 'same' | 'valid' | number;
}

type Role = 'x' | 'filter' | 'dy';
type Build = (graph: GraphBuilder, a: Value, b: Value, windows: Windows) => Value;

/** What each map is made of, and of which of the three it has the shape. */
const MAPS = {
  convolution: { of: ['x', 'filter'], gives: 'dy' },
  inputGradient: { of: ['dy', 'filter'], gives: 'x' },
  filterGradient: { of: ['x', 'dy'], gives: 'filter' },
} as const satisfies Record<string, { of: readonly [Role, Role]; gives: Role }>;

/**
 * Builds one map of a convolution and runs it; answers its largest difference from the definition, summed in float64.
 */
export async function differenceFromDefinition(
  map: keyof typeof MAPS,
  geometry: Geometry,
  build: Build,
): Promise<number> {
  const { images, filter, strides = 1, dilations = 1, pad = 'same' } = geometry;
  const windows = conv2dWindows(images, filter, { strides, dilations, pad });
  const shapes = { x: images, filter, dy: [images[0], ...windows.outSizes, filter[3]] };
  const { of, gives } = MAPS[map];
  const [first, second] = of;
  const graph: Graph = makeGraph(
    { [first]: shapes[first], [second]: shapes[second] },
    (g, inputs) => ({
      result: g.reshape(build(g, inputs[first]!, inputs[second]!, windows), shapes[gives]),
    }),
  );
  const feeds = feedsFor(graph);
  const { result } = await runGraph(graph, feeds);
  const expected = new Float64Array(sizeOf(shapes[gives]));
  forEachTerm(geometry, windows, (indices) => {
    expected[indices[gives]]! += feeds[first]![indices[first]]! * feeds[second]![indices[second]]!;
  });
  return largestDifference(result!, expected);
}

/** All products that a convolution adds up, by the places of their elements. */
function forEachTerm(
  { images: [batch, height, width, inputs], filter }: Geometry,
  { sizes, strides, dilations, before, outSizes }: Windows,
  visit: (indices: Readonly<Record<Role, number>>) => void,
): void {
  const outputs = filter[3];
  const [rows, columns] = outSizes as [number, number];
  const at = (axis: number, out: number, place: number) =>
    out * strides[axis]! - before[axis]! + place * dilations[axis]!;
  for (let b = 0; b < batch; b++)
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++)
        for (let place = 0; place < sizeOf(sizes); place++) {
          const y = at(0, row, Math.floor(place / sizes[1]!));
          const x = at(1, column, place % sizes[1]!);
          if (y < 0 || y >= height || x < 0 || x >= width) continue;
          for (let i = 0; i < inputs; i++)
            for (let o = 0; o < outputs; o++)
              visit({
                x: ((b * height + y) * width + x) * inputs + i,
                filter: (place * inputs + i) * outputs + o,
                dy: ((b * rows + row) * columns + column) * outputs + o,
              });
        }
}
