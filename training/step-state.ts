import type { TensorMap, TensorSpec } from './step-function.ts';

/** The entries whose names start with `prefix/`, named without it. */
export function entriesUnder(map: TensorMap, prefix: string): TensorMap {
  const start = `${prefix}/`;
  return Object.fromEntries(
    Object.entries(map)
      .filter(([name]) => name.startsWith(start))
      .map(([name, tensor]) => [name.slice(start.length), tensor]),
  );
}

/** The same entries, each named `prefix/name`. */
export function placeUnder<T>(
  prefix: string,
  entries: Readonly<Record<string, T>>,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(entries).map(([name, value]) => [`${prefix}/${name}`, value]),
  );
}

/** Shapes as the specifications of float32 state entries, each named `prefix/name`. */
export function floatSpecs(
  prefix: string,
  shapes: Readonly<Record<string, readonly number[]>>,
): Record<string, TensorSpec> {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      `${prefix}/${name}`,
      { shape, dtype: 'float32' },
    ]),
  );
}
