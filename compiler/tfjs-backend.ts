import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';

/** Engines of TensorFlow.js, and the name under which each registers its kernels. */
const BACKENDS = {
  'tfjs-node-gpu': 'tensorflow',
  'tfjs-node': 'tensorflow',
  'tfjs-wasm': 'wasm',
  'tfjs-cpu': 'cpu',
} as const;
export type TfjsEngineName = keyof typeof BACKENDS;

/**
 * Loads and initialises the backend of an engine and leaves the active one active.
 * @throws Error where the backend can't be loaded or initialised.
 */
export async function prepareBackend(engine: TfjsEngineName): Promise<void> {
  const active: string | null | undefined = tf.getBackend();
  await importBackend(engine);
  const name = BACKENDS[engine];
  const { registry } = tf.engine();
  if (registry[name] === undefined) {
    // tfjs's own way to initialise would block every other backend until this one is ready.
    const backend = await tf.findBackendFactory(name)();
    registry[name] ??= backend;
  }
  // The one of tfjs-node makes itself the active one.
  if (active && tf.getBackend() !== active) activate(active);
  if (name === 'cpu') silenceGreeting(registry.cpu);
  if (name === 'wasm') addSegmentSum();
}

/** Those of some kernels that the engine's backend lacks, once it is prepared. */
export function lackingKernels(
  engine: TfjsEngineName,
  kernelNames: ReadonlySet<string>,
): readonly string[] {
  return [...kernelNames].filter((kernel) => tf.getKernel(kernel, BACKENDS[engine]) === undefined);
}

/** Runs `body` with the backend of an engine that has been prepared. */
export function withEngine<Result>(engine: TfjsEngineName, body: () => Result): Result {
  return withBackend(BACKENDS[engine], body);
}

/**
 * Runs `body` with a tfjs backend that is ready, and brings the one back that was active. All of it is
 * synchronous: nobody else's code can meet the other backend in between.
 */
export function withBackend<Result>(name: string, body: () => Result): Result {
  const previous: string | null | undefined = tf.getBackend();
  activate(name);
  try {
    return body();
  } finally {
    if (previous && previous !== name) activate(previous);
  }
}

function activate(name: string): void {
  // For a backend that has been initialised this takes effect before the promise is returned.
  tf.setBackend(name).catch(() => undefined);
  if (tf.getBackend() !== name || tf.engine().registry[name] === undefined) {
    throw new Error(`The TensorFlow.js backend '${name}' is not ready; await tf.setBackend first.`);
  }
}

async function importBackend(engine: TfjsEngineName): Promise<void> {
  if (engine === 'tfjs-cpu') await import('@tensorflow/tfjs-backend-cpu');
  else if (engine === 'tfjs-wasm') await importWasmBackend();
  else await importTensorflow(engine);
}

async function importWasmBackend(): Promise<void> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  if (tf.engine().registry.wasm !== undefined) return;
  const manifest = import.meta.resolve('@tensorflow/tfjs-backend-wasm/package.json');
  setWasmPaths(fileURLToPath(new URL('wasm-out/', manifest)));
}

async function importTensorflow(engine: 'tfjs-node' | 'tfjs-node-gpu'): Promise<void> {
  const isGpu = engine === 'tfjs-node-gpu';
  const loaded = () =>
    tf.findBackend('tensorflow') as
      | (tf.KernelBackend & { isGPUPackage?: boolean; isUsingGpuDevice?: boolean })
      | null;
  // Both packages register one backend, and two copies of TensorFlow in a process don't get along.
  if (loaded() && loaded()!.isGPUPackage !== isGpu) {
    throw new Error(`this process has loaded ${isGpu ? 'tfjs-node' : 'tfjs-node-gpu'}`);
  }
  // Node dropped functions in version 23 that tfjs-node 4.22 still calls.
  const util = process.getBuiltinModule('node:util') as unknown as Record<string, unknown>;
  util.isNullOrUndefined ??= (value: unknown) => value === undefined || value === null;
  util.isArray ??= Array.isArray;
  // What goes wrong comes back as an error; the library's greetings needn't be on stderr as well.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  // By a variable: the packages are the user's to install, and their types may be absent.
  const name = `@tensorflow/${engine}`;
  await import(name).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ERR_MODULE_NOT_FOUND' || !cause.message.includes(`'${name}'`)) throw cause;
    throw new Error(`the package ${name} is not installed`, { cause });
  });
  if (isGpu && loaded()?.isUsingGpuDevice !== true) throw new Error('TensorFlow finds no GPU');
}

/** The CPU backend prints an advertisement at its first tensor. */
function silenceGreeting(backend: tf.KernelBackend | undefined): void {
  if (backend !== undefined && 'firstUse' in backend) backend.firstUse = false;
}

/**
 * The WASM backend lacks the gradient of a lookup; it has the scatter which that amounts to.
 * A kernel that is there already stays.
 */
function addSegmentSum(): void {
  if (tf.getKernel('UnsortedSegmentSum', 'wasm') !== undefined) return;
  const scatter = tf.getKernel('ScatterNd', 'wasm');
  const reshape = tf.getKernel('Reshape', 'wasm');
  tf.registerKernel({
    kernelName: 'UnsortedSegmentSum',
    backendName: 'wasm',
    kernelFunc({ inputs, attrs, backend }) {
      const { x, segmentIds } = inputs as Record<'x' | 'segmentIds', tf.TensorInfo>;
      const { numSegments } = attrs as unknown as tf.UnsortedSegmentSumAttrs;
      const indices = reshape.kernelFunc({
        inputs: { x: segmentIds },
        attrs: { shape: [...segmentIds.shape, 1] },
        backend,
      }) as tf.TensorInfo;
      const shape = [numSegments, ...x.shape.slice(segmentIds.shape.length)];
      const sums = scatter.kernelFunc({
        inputs: { indices, updates: x },
        attrs: { shape },
        backend,
      });
      (backend as tf.KernelBackend).disposeData(indices.dataId);
      return sums;
    },
  });
}
