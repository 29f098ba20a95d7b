import { DamagedDataError } from '../../errors.ts';
import {
  applyChange,
  changesOf,
  type DeltaCodec,
  encodeChange,
  type TensorDelta,
  tensorDeltaBytes,
} from '../exchange/tensor-delta.ts';
import {
  mapTensors,
  rowLength,
  type WeightShapes,
  type Weights,
} from '../exchange/weight-delta.ts';

/** Gradients as they travel, by parameter. */
export type CodedGradients = Readonly<Record<string, TensorDelta>>;

/**
 * Codes the gradients of one worker. What a lossy codec leaves out is added to the next gradients (error feedback,
 * Seide et al. 2014, section 3), so that nothing is lost for good.
 */
export class GradientEncoder {
  readonly #codec: DeltaCodec;
  readonly #shapes: WeightShapes;
  #rest: Weights;
  #nextRest: Weights = {};

  constructor(options: {
    readonly codec: DeltaCodec;
    readonly shapes: WeightShapes;
    /** What is left over, from a checkpoint. */
    readonly rest?: Weights | undefined;
  }) {
    this.#codec = options.codec;
    this.#shapes = options.shapes;
    this.#rest = options.rest ?? {};
  }

  /** What the codec has left out of all that was accepted; empty for codec f32. */
  get rest(): Weights {
    return this.#rest;
  }

  /** With codec f32 the result holds `gradients` themselves. */
  encode(gradients: Weights): CodedGradients {
    const codec = this.#codec;
    if (codec === 'f32') return mapTensors(gradients, (values) => ({ codec: 'f32', values }));
    const rest: Record<string, Float32Array> = {};
    const coded = mapTensors(gradients, (values, name) => {
      const wanted = sum(values, this.#rest[name]);
      const row = rowLength(this.#shapes, name);
      const delta = encodeChange(codec, wanted, new Float32Array(values.length), row);
      rest[name] = changesOf(wanted, decode(name, delta, values.length, row));
      return delta;
    });
    this.#nextRest = rest;
    return coded;
  }

  /** Says that the gradients encoded last count; until then the next ones take their place. */
  accepted(): void {
    this.#rest = this.#nextRest;
  }
}

/** @throws DamagedDataError when a gradient doesn't fit its parameter, or one is missing. */
export function decodeGradients(coded: CodedGradients, shapes: WeightShapes): Weights {
  const gradients: Record<string, Float32Array> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const delta = coded[name];
    if (delta === undefined) throw new DamagedDataError(`gradients lack the parameter ${name}`);
    const length = shape.reduce((product, size) => product * size, 1);
    gradients[name] = decode(name, delta, length, rowLength(shapes, name));
  }
  return gradients;
}

/** Bytes of the arrays that coded gradients carry. */
export function codedBytes(coded: CodedGradients): number {
  return Object.values(coded).reduce((bytes, delta) => bytes + tensorDeltaBytes(delta), 0);
}

function decode(name: string, delta: TensorDelta, length: number, row: number): Float32Array {
  return applyChange(name, new Float32Array(length), delta, { length, row });
}

function sum(values: Float32Array, more: Float32Array | undefined): Float32Array {
  if (more === undefined) return values;
  return values.map((value, index) => value + more[index]!);
}
