import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs-core';

export type TfjsBackendName = 'cpu' | 'wasm';

/**
 * Loads and initialises a tfjs backend and leaves the active one active.
 * @throws Error where the backend can't be loaded or initialised.
 */
export async function prepareBackend(name: TfjsBackendName): Promise<void> {
  if (name === 'cpu') await import('@tensorflow/tfjs-backend-cpu');
  else await importWasmBackend();
  const { registry } = tf.engine();
  if (registry[name] === undefined) {
    // tfjs's own way to initialise would block every other backend until this one is ready.
    const backend = await tf.findBackendFactory(name)();
    registry[name] ??= backend;
  }
  if (name === 'cpu') silenceGreeting(registry.cpu);
  else addSegmentSum();
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

async function importWasmBackend(): Promise<void> {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  if (tf.engine().registry.wasm !== undefined) return;
  const manifest = import.meta.resolve('@tensorflow/tfjs-backend-wasm/package.json');
  setWasmPaths(fileURLToPath(new URL('wasm-out/', manifest)));
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
