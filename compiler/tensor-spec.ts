/** Element types that a step's state, inputs and outputs may have. */
export type DType = 'float32' | 'int32' | 'bool';

/** Shape and element type of one tensor; the shape is fixed when a step is compiled. */
export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** Elements in row-major order; a bool is one byte, 0 or 1. */
export type TensorData = Float32Array | Int32Array | Uint8Array;

export const BYTES_PER_ELEMENT: Readonly<Record<DType, number>> = {
  float32: 4,
  int32: 4,
  bool: 1,
};

/** Number of elements; 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dimension) => size * dimension, 1);
}

export function byteLengthOf(spec: TensorSpec): number {
  return sizeOf(spec.shape) * BYTES_PER_ELEMENT[spec.dtype];
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/** `float32[32,512]`, as error messages print it. */
export function describeSpec(spec: { shape: readonly number[]; dtype: string }): string {
  return `${spec.dtype}[${spec.shape.join(',')}]`;
}

/** A view of `spec` over `buffer`. */
export function viewOf(spec: TensorSpec, buffer: ArrayBufferLike, byteOffset = 0): TensorData {
  const size = sizeOf(spec.shape);
  if (spec.dtype === 'float32') return new Float32Array(buffer, byteOffset, size);
  if (spec.dtype === 'int32') return new Int32Array(buffer, byteOffset, size);
  return new Uint8Array(buffer, byteOffset, size);
}

/** @throws TypeError or RangeError where a specification can't describe a tensor. */
export function checkSpec(name: string, spec: TensorSpec): void {
  if (!Array.isArray(spec?.shape)) {
    throw new TypeError(
      `${name} must be described as { shape: [32, 10], dtype: 'float32' }, not by ${JSON.stringify(spec)}.`,
    );
  }
  if (!Object.hasOwn(BYTES_PER_ELEMENT, spec.dtype)) {
    throw new TypeError(`${name} has dtype '${spec.dtype}'; use 'float32', 'int32' or 'bool'.`);
  }
  if (!spec.shape.every((dimension) => Number.isSafeInteger(dimension) && dimension >= 0)) {
    throw new RangeError(
      `${name} has shape ${JSON.stringify(spec.shape)}; dimensions are whole, not negative and fixed, ` +
        'the batch size too.',
    );
  }
}

/** Checks each of `specs`; `kind` says what they are of. @throws TypeError or RangeError. */
export function checkSpecs(kind: string, specs: Readonly<Record<string, TensorSpec>>): void {
  if (typeof specs !== 'object' || specs === null) {
    throw new TypeError(
      `${kind}s must be described by name, as { x: { shape: [32, 10], dtype: 'float32' } }.`,
    );
  }
  for (const [name, spec] of Object.entries(specs)) checkSpec(`${kind} '${name}'`, spec);
}

/** @throws TypeError for another array type, RangeError for another number of elements. */
export function checkData(name: string, spec: TensorSpec, data: unknown): void {
  const expected = { float32: Float32Array, int32: Int32Array, bool: Uint8Array }[spec.dtype];
  if (!(data instanceof expected)) {
    const got = data === undefined ? 'nothing' : (data?.constructor?.name ?? String(data));
    throw new TypeError(
      `${name} expects ${expected.name} for ${describeSpec(spec)}, but was given ${got}.`,
    );
  }
  if (data.length !== sizeOf(spec.shape)) {
    throw new RangeError(
      `${name} expects ${sizeOf(spec.shape)} elements for ${describeSpec(spec)}, ` +
        `but was given ${data.length}.`,
    );
  }
}

/** The indices along each axis of an element with this number, in row-major order. */
export function indicesOf(element: number, sizes: readonly number[]): readonly number[] {
  let rest = element;
  return sizes
    .toReversed()
    .map((size) => {
      const index = rest % size;
      rest = Math.floor(rest / size);
      return index;
    })
    .reverse();
}
