import * as tf from '@tensorflow/tfjs-core';
import { CannotCompileError } from '../errors.ts';
import type { ElementType, Value } from './graph.ts';
import { GraphBuilder } from './graph-builder.ts';
import { UnsupportedError } from './kernels/kernel.ts';
import { traceKernels } from './kernels/registry.ts';
import type { DType, TensorData } from './tensor-spec.ts';
import { placeInLayers, placeInUserCode } from './user-code.ts';

export const traceBackendName = 'codistill-trace';

/**
 * A tfjs backend that computes nothing: its kernels append what they would compute to a graph.
 * Tensors stand for the graph's values.
 */
export class TraceBackend extends tf.KernelBackend {
  readonly builder: GraphBuilder = new GraphBuilder();
  /** The tfjs kernels that were called, with the types of what they were given. */
  readonly kernels: Map<string, Set<ElementType>> = new Map();
  /** Where in the user's code each is first called. */
  readonly places: Map<string, string> = new Map();
  readonly #values = new WeakMap<object, Value>();
  #asynchronousRead: CannotCompileError | undefined;
  /** Where it isn't one. */
  readonly #references = new WeakMap<object, number>();

  /** A tensor that stands for `value`, tracked by the current tfjs scope. */
  placeholder(value: Value): tf.Tensor {
    return tf.engine().makeTensorFromTensorInfo(this.#infoOf(value), this);
  }

  /** The value that a tensor stands for; a tensor of another backend becomes a constant. */
  valueFor(tensor: tf.TensorInfo): Value {
    const known = this.#values.get(tensor.dataId);
    if (known !== undefined) return known;
    const owner = tf.engine().state.tensorInfo.get(tensor.dataId);
    if (owner === undefined) {
      throw new Error(
        `A tensor that has been disposed of is used${placeInUserCode()}. One that the function made ` +
          'in an earlier call is gone, too: make it outside of the function, or each time.',
      );
    }
    // Reading leaves the tensor where it is; tfjs's own way would move it here and lose it.
    const data = owner.backend.readSync(tensor.dataId) as TensorData;
    const value = this.builder.constant(data, compilableType(tensor.dtype), tensor.shape);
    this.#values.set(tensor.dataId, value);
    return value;
  }

  callKernel(
    name: string,
    inputs: tf.NamedTensorInfoMap,
    attributes: object,
  ): tf.TensorInfo | tf.TensorInfo[] {
    const trace = traceKernels[name];
    if (trace === undefined) {
      throw new CannotCompileError(
        `The operation '${name}'${placeInUserCode()} can't be compiled; write it with others, or ` +
          "hand in what it computes as an input. A step of compileStep can also run on 'tfjs-cpu'.",
      );
    }
    const values: Record<string, Value> = {};
    for (const [key, tensor] of Object.entries(inputs)) {
      // Optional inputs, such as a fused product's bias, are there but empty.
      if (tensor) values[key] = this.valueFor(tensor);
    }
    this.#record(name, values);
    try {
      const result = trace(this.builder, values, attributes);
      return isValue(result) ? this.#infoOf(result) : result.map((value) => this.#infoOf(value));
    } catch (error) {
      if (error instanceof UnsupportedError) {
        throw new CannotCompileError(`${error.message} It is called${placeInUserCode()}.`);
      }
      // What tfjs's own backends find out when they compute.
      if (error instanceof RangeError) {
        throw new RangeError(`The operation '${name}'${placeInUserCode()} fails: ${error.message}`);
      }
      throw error;
    }
  }

  #record(name: string, values: Readonly<Record<string, Value>>): void {
    const types = this.kernels.get(name) ?? new Set();
    if (!this.places.has(name)) this.places.set(name, placeInUserCode());
    for (const { dtype } of Object.values(values)) types.add(dtype);
    this.kernels.set(name, types);
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    const type = compilableType(dtype);
    const data = toTypedArray(values as ArrayLike<number>, type);
    return this.#infoOf(this.builder.constant(data, type, shape)).dataId;
  }

  override readSync(dataId: object): tf.BackendValues {
    throw unreadable(this.#values.get(dataId));
  }

  /** Nobody may be there to hear a rejection, so the promise stays open; see `throwWhatWasRead`. */
  override read(dataId: object): Promise<tf.BackendValues> {
    this.#asynchronousRead ??= unreadable(this.#values.get(dataId));
    return new Promise(() => {});
  }

  /** @throws CannotCompileError where a tensor was read by a promise, such as `tensor.data()`. */
  throwWhatWasRead(): void {
    if (this.#asynchronousRead !== undefined) throw this.#asynchronousRead;
  }

  /** Tensors may share data; tfjs keeps count of them here. */
  override disposeData(dataId: object, force = false): boolean {
    this.#references.set(dataId, this.refCount(dataId) - 1);
    return force || this.refCount(dataId) <= 0;
  }

  override refCount(dataId: object): number {
    return this.#references.get(dataId) ?? 1;
  }

  override incRef(dataId: object): void {
    this.#references.set(dataId, this.refCount(dataId) + 1);
  }

  /** Constant, so that tfjs's leak check (in its test mode) has nothing to count. */
  override numDataIds(): number {
    return 0;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override timerAvailable(): boolean {
    return false;
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {}

  #infoOf(value: Value): tf.TensorInfo {
    const dataId = {};
    this.#values.set(dataId, value);
    return { dataId, shape: [...value.shape], dtype: value.dtype as DType };
  }
}

/**
 * Registers the kernels, once per process: those that trace, and for each other kernel of tfjs one that
 * says so, where tfjs itself would only name the backend.
 */
export function registerTraceKernels(): void {
  if (tf.getKernelsForBackend(traceBackendName).length > 0) return;
  const known = Object.values(tf).filter(
    (each) => typeof each === 'string' && /^_?[A-Z]/.test(each),
  );
  for (const kernelName of new Set([...Object.keys(traceKernels), ...(known as string[])])) {
    tf.registerKernel({
      kernelName,
      backendName: traceBackendName,
      kernelFunc: ({ inputs, attrs, backend }) =>
        (backend as TraceBackend).callKernel(kernelName, inputs, attrs ?? {}),
    });
  }
}

function isValue(result: Value | readonly Value[]): result is Value {
  return !Array.isArray(result);
}

function compilableType(dtype: tf.DataType): DType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new CannotCompileError(
    `A tensor of dtype '${dtype}' is used${placeInUserCode()}; only float32, int32 and bool can be compiled.`,
  );
}

function toTypedArray(values: ArrayLike<number>, dtype: DType): TensorData {
  if (dtype === 'float32')
    return values instanceof Float32Array ? values : Float32Array.from(values);
  if (dtype === 'int32') return values instanceof Int32Array ? values : Int32Array.from(values);
  return values instanceof Uint8Array ? values : Uint8Array.from(values);
}

function unreadable(value: Value | undefined): CannotCompileError {
  const what = value === undefined ? 'A tensor' : `A tensor ${value.dtype}[${value.shape}]`;
  return new CannotCompileError(
    `${what} was read${placeInLayers()}${placeInUserCode()} while the function was traced, when it ` +
      'has no data yet. Compute with tensors (tf.where instead of if), and return what is to be ' +
      'read as an output.',
  );
}
