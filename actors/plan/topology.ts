import type { topologies } from './plan-schema.ts';

export type Topology = (typeof topologies)[number];

/**
 * For each replica, counted from 0, the replicas that teach it: with `all` every other one; in a `ring` the one before;
 * in `pairs` the one beside (the last of an odd number has none); with `custom` those of `teachers`, whose numbers
 * count from 1.
 */
export function teachersOf(
  topology: Topology,
  replicas: number,
  teachers: Readonly<Record<string, readonly number[]>> = {},
): readonly (readonly number[])[] {
  const indices = Array.from({ length: replicas }, (_, index) => index);
  const others = (index: number, chosen: readonly number[]): readonly number[] =>
    chosen.filter((teacher) => teacher !== index && teacher < replicas);
  switch (topology) {
    case 'all':
      return indices.map((index) => others(index, indices));
    case 'ring':
      return indices.map((index) => others(index, [(index + replicas - 1) % replicas]));
    case 'pairs':
      return indices.map((index) => others(index, [index ^ 1]));
    case 'none':
      return indices.map(() => []);
    case 'custom':
      return indices.map((index) => (teachers[`${index + 1}`] ?? []).map((number) => number - 1));
  }
}
