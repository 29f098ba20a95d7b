import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { DamagedDataError } from '../../errors.ts';
import {
  applyChange,
  type DeltaCodec,
  encodeChange,
  type TensorDelta,
  tensorDeltaBytes,
} from './tensor-delta.ts';

/** Parameters of one replica by name, flattened row by row. */
export type Weights = Readonly<Record<string, Float32Array>>;

/** Shapes of the same parameters; the last dimension is a row. */
export type WeightShapes = Readonly<Record<string, readonly number[]>>;

/** What a Trainer sends at an exchange. Plain data: a frame carries its arrays as attachments. */
export interface WeightDelta {
  readonly version: number;
  /**
   * The version that this one follows: a receiver that lacks it has missed one, even where the tensors are full.
   * Null for a full snapshot that needs nothing at the receiver.
   */
  readonly baseVersion: number | null;
  readonly tensors: Readonly<Record<string, TensorDelta>>;
  /** CRC-32 of the weights that result, so that a wrong base shows as surely as a damaged byte. */
  readonly weightsCrc32: number;
}

/**
 * Turns a replica's weights into deltas against what the receiver already has. It keeps that base, so the
 * rounding error of one delta is part of the next one (error feedback) and never accumulates.
 */
export class DeltaEncoder {
  readonly #codec: DeltaCodec;
  readonly #shapes: WeightShapes;
  #base: VersionedWeights | undefined;

  constructor(options: {
    readonly codec: DeltaCodec;
    readonly shapes: WeightShapes;
    /** What the receiver has, from a checkpoint. */
    readonly base?: VersionedWeights | undefined;
  }) {
    this.#codec = options.codec;
    this.#shapes = options.shapes;
    this.#base = options.base;
  }

  /** The weights as the receiver holds them after the last delta. */
  get base(): VersionedWeights | undefined {
    return this.#base;
  }

  /** The next delta; the tensors of the first one, and all of codec f32, are full. `weights` is not kept. */
  encode(weights: Weights, version: number): WeightDelta {
    const base = this.#base;
    if (base === undefined || this.#codec === 'f32') {
      this.#base = { version, weights: copyWeights(weights) };
      return { ...fullDelta(this.#base), baseVersion: base?.version ?? null };
    }
    const next: Record<string, Float32Array> = {};
    const tensors: Record<string, TensorDelta> = {};
    for (const [name, values] of Object.entries(weights)) {
      const from = tensorOf(base.weights, name);
      const row = rowLength(this.#shapes, name);
      const delta = encodeChange(this.#codec, values, from, row);
      tensors[name] = delta;
      next[name] = applyChange(name, from, delta, { length: values.length, row });
    }
    this.#base = { version, weights: next };
    return { version, baseVersion: base.version, tensors, weightsCrc32: weightsCrc32(next) };
  }
}

export interface VersionedWeights {
  /** The replica's step count when it had these weights. */
  readonly version: number;
  readonly weights: Weights;
}

/** A full snapshot: for a first version, or for a receiver that has lost what it had. */
export function fullDelta({ version, weights }: VersionedWeights): WeightDelta {
  return {
    version,
    baseVersion: null,
    tensors: mapTensors(weights, (values) => ({ codec: 'f32', values })),
    weightsCrc32: weightsCrc32(weights),
  };
}

/**
 * The weights after `delta`. Neither argument changes.
 * @throws DamagedDataError when the delta doesn't fit the shapes or the result's checksum is wrong.
 */
export function applyDelta(
  base: VersionedWeights | undefined,
  delta: WeightDelta,
  shapes: WeightShapes,
): VersionedWeights {
  const weights: Record<string, Float32Array> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const tensor = delta.tensors[name];
    const length = shape.reduce((product, size) => product * size, 1);
    if (tensor === undefined) throw new DamagedDataError(`weight delta lacks ${name}`);
    const from = base?.weights[name];
    weights[name] = applyChange(name, from, tensor, { length, row: rowLength(shapes, name) });
  }
  if (weightsCrc32(weights) !== delta.weightsCrc32) {
    throw new DamagedDataError(
      `checksum of version ${delta.version} is wrong after its delta on ${delta.baseVersion ?? 'nothing'}`,
    );
  }
  return { version: delta.version, weights };
}

/** Bytes of the arrays that a delta carries; its msgpack header adds a few per parameter. */
export function deltaBytes(delta: WeightDelta): number {
  return Object.values(delta.tensors).reduce((bytes, each) => bytes + tensorDeltaBytes(each), 0);
}

/** Bytes of the same weights in full as f32. */
export function weightsBytes(weights: Weights): number {
  return Object.values(weights).reduce((bytes, values) => bytes + values.byteLength, 0);
}

export function copyWeights(weights: Weights): Weights {
  return mapTensors(weights, (values) => values.slice());
}

/** CRC-32 over all parameters in the order of their names. */
export function weightsCrc32(weights: Weights): number {
  let checksum = 0;
  for (const name of Object.keys(weights).sort()) {
    checksum = crc32(bytesOf(tensorOf(weights, name)), checksum);
  }
  return checksum;
}

/** SHA-256 over all parameters in the order of their names, in hex: equal for equal bits. */
export function weightsSha256(weights: Weights): string {
  const hash = createHash('sha256');
  for (const name of Object.keys(weights).sort()) hash.update(bytesOf(tensorOf(weights, name)));
  return hash.digest('hex');
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Values that share a scale: the last dimension. */
export function rowLength(shapes: WeightShapes, name: string): number {
  return shapes[name]?.at(-1) ?? 1;
}

function tensorOf(weights: Weights, name: string): Float32Array {
  const values = weights[name];
  if (values === undefined) throw new DamagedDataError(`weights lack the parameter ${name}`);
  return values;
}

export function mapTensors<T>(
  weights: Weights,
  map: (values: Float32Array, name: string) => T,
): Record<string, T> {
  const result: Record<string, T> = {};
  for (const [name, values] of Object.entries(weights)) result[name] = map(values, name);
  return result;
}
