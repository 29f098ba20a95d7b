import type { OnnxValue, Tensor, TensorConstructor } from 'onnxruntime-node';
import { EngineUnavailableError } from '../errors.ts';
import type { EngineJob } from './engine.ts';
import { compileNativeStep, type NativeStep } from './native-step.ts';
import { outputName, writeOnnxModel } from './onnx-model.ts';
import { loadOnnxruntime, type Onnxruntime, openSession, type Session } from './onnx-session.ts';
import type { DeviceValues, StateMemory } from './state-store.ts';
import type { StepRunner } from './step-runner.ts';
import { sizeOf, type TensorData, type TensorSpec } from './tensor-spec.ts';
import { inputPrefix, outputPrefix, statePrefix } from './trace-step.ts';

/**
 * Makes a traced step one session on the GPU. State is left there between runs: what a run gives back for an entry is
 * what the next one is fed. The optimizer stays in the graph, as its operands are there too.
 */
export async function createWebGpuRunner(job: EngineJob): Promise<StepRunner> {
  const onnxruntime = await loadOnnxruntime();
  const options = { target: 'any', int8Inputs: [], fuseUpdates: false } as const;
  const native = await compileNativeStep(job.graph!, options);
  const { state } = job;
  const copies = new DeviceCopies(onnxruntime);
  const outputLocations = Object.fromEntries(
    native.outputs.map(([key, spec]) => [
      outputName(key),
      key.startsWith(statePrefix) && fitsDevice(spec) ? 'gpu-buffer' : 'cpu',
    ]),
  ) as Record<string, 'gpu-buffer' | 'cpu'>;
  try {
    const session = await openSession(onnxruntime, native.model, {
      provider: 'webgpu',
      profilePrefix: job.profilePrefix,
      whole: job.whole,
      outputLocations,
    });
    return new WebGpuRunner(onnxruntime.Tensor, session, { native, state, copies });
  } catch (error) {
    if (!job.whole) throw error;
    throw new EngineUnavailableError(
      `The engine 'onnx-webgpu' can't run all of this step: ${(error as Error).message}`,
      { cause: error },
    );
  }
}

/** Numbers of other types and nothing at all are as well off in host memory. */
function fitsDevice({ dtype, shape }: TensorSpec): boolean {
  return dtype === 'float32' && sizeOf(shape) > 0;
}

class WebGpuRunner implements StepRunner {
  readonly usesDevice = true;
  readonly #tensor: TensorConstructor;
  readonly #session: Session;
  readonly #state: StateMemory;
  readonly #copies: DeviceCopies;
  readonly #read: readonly [name: string, spec: TensorSpec][];
  readonly #inputs: readonly [name: string, spec: TensorSpec][];
  readonly #results: readonly string[];

  constructor(
    tensor: TensorConstructor,
    session: Session,
    job: {
      readonly native: NativeStep;
      readonly state: StateMemory;
      readonly copies: DeviceCopies;
    },
  ) {
    this.#tensor = tensor;
    this.#session = session;
    this.#state = job.state;
    this.#copies = job.copies;
    const under = (prefix: string) =>
      job.native.inputs
        .filter(([key]) => key.startsWith(prefix))
        .map(([key, spec]): [string, TensorSpec] => [key.slice(prefix.length), spec]);
    this.#read = under(statePrefix);
    this.#inputs = under(inputPrefix);
    this.#results = job.native.outputs.map(([key]) => key);
  }

  async run(inputs: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>> {
    const feeds: Record<string, OnnxValue> = {};
    for (const [name, spec] of this.#read) feeds[statePrefix + name] = await this.#feed(name, spec);
    for (const [name, { dtype, shape }] of this.#inputs) {
      feeds[inputPrefix + name] = new this.#tensor(dtype, inputs[name]!, shape);
    }
    const results = await this.#session.run(feeds);
    const outputs: Record<string, TensorData> = {};
    for (const key of this.#results) {
      const tensor = results[outputName(key)] as Tensor;
      if (key.startsWith(outputPrefix)) {
        outputs[key.slice(outputPrefix.length)] = tensor.data as TensorData;
      } else {
        this.#keep(key.slice(statePrefix.length), tensor);
      }
    }
    return outputs;
  }

  async dispose(): Promise<void> {
    // The buffers belong to the library's device, which ends with its last session.
    await this.#state.toHost();
    await Promise.all([this.#session.release(), this.#copies.dispose()]);
  }

  async #feed(name: string, spec: TensorSpec): Promise<Tensor> {
    const known = this.#state.onDevice(name);
    if (known instanceof DeviceTensor) return known.tensor;
    const { dtype, shape } = spec;
    const host = new this.#tensor(dtype, this.#state.read(name), shape);
    if (!fitsDevice(spec)) return host;
    const tensor = await this.#copies.upload(host, spec);
    this.#keep(name, tensor);
    return tensor;
  }

  #keep(name: string, tensor: Tensor): void {
    if (tensor.location === 'cpu') this.#state.read(name).set(tensor.data as TensorData);
    else this.#state.keepOnDevice(name, new DeviceTensor(tensor, this.#copies));
  }
}

class DeviceTensor implements DeviceValues {
  readonly tensor: Tensor;
  readonly #copies: DeviceCopies;

  constructor(tensor: Tensor, copies: DeviceCopies) {
    this.tensor = tensor;
    this.#copies = copies;
  }

  download(): Promise<TensorData> {
    return this.#copies.download(this.tensor);
  }

  free(): void {
    this.tensor.dispose();
  }
}

/**
 * Copies tensors to the device and back. The Node binding can't (its `getData` of such a tensor is "not
 * implemented"), so each shape gets a session that hands its input on, from one memory to the other.
 */
class DeviceCopies {
  readonly #onnxruntime: Onnxruntime;
  readonly #sessions = new Map<string, Promise<Session>>();

  constructor(onnxruntime: Onnxruntime) {
    this.#onnxruntime = onnxruntime;
  }

  upload(tensor: Tensor, { shape }: TensorSpec): Promise<Tensor> {
    return this.#copy(tensor, shape, 'gpu-buffer');
  }

  async download(tensor: Tensor): Promise<TensorData> {
    return (await this.#copy(tensor, tensor.dims, 'cpu')).data as TensorData;
  }

  async dispose(): Promise<void> {
    const sessions = await Promise.all(this.#sessions.values());
    this.#sessions.clear();
    await Promise.all(sessions.map((session) => session.release()));
  }

  async #copy(
    tensor: Tensor,
    shape: readonly number[],
    target: 'gpu-buffer' | 'cpu',
  ): Promise<Tensor> {
    const key = `${target} ${shape}`;
    const session = this.#sessions.get(key) ?? this.#open(shape, target);
    this.#sessions.set(key, session);
    const results = await (await session).run({ original: tensor });
    return results[outputName('copy')] as Tensor;
  }

  #open(shape: readonly number[], target: 'gpu-buffer' | 'cpu'): Promise<Session> {
    const value = { shape, dtype: 'float32' } as const;
    const model = writeOnnxModel({
      inputs: new Map([['original', value]]),
      nodes: [],
      outputs: new Map([['copy', value]]),
    });
    return openSession(this.#onnxruntime, model, { provider: 'webgpu', outputLocations: target });
  }
}
