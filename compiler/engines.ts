import { EngineUnavailableError } from '../errors.ts';
import { type Engine, type EngineName, engineNames } from './engine.ts';
import { requireCudaDevice, requireWebGpuDevice } from './gpu-presence.ts';
import { createOnnxRunner } from './onnx-engine.ts';
import { loadOnnxruntime, tryProvider } from './onnx-session.ts';
import { lackingKernels, prepareBackend } from './tfjs-backend.ts';
import { createTfjsRunner } from './tfjs-engine.ts';
import { createWebGpuRunner } from './webgpu-runner.ts';

export interface EngineReport {
  readonly name: EngineName;
  readonly works: boolean;
  /** Why it doesn't work. */
  readonly reason?: string;
  /** What to do so that it works. */
  readonly install?: string;
}

const engines: Readonly<Record<EngineName, Engine>> = {
  'onnx-cuda': graphEngine({
    install:
      'Linux on x64 with an NVIDIA driver, CUDA 12 and cuDNN 9, and the provider, which ' +
      'ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node downloads',
    async prepare() {
      requireCudaDevice();
      await tryProvider('cuda');
    },
    createRunner: (job) => createOnnxRunner(job, 'cuda'),
  }),
  'onnx-webgpu': graphEngine({
    install: 'a GPU with its own driver, on Linux the Vulkan one (and the package libvulkan1)',
    async prepare() {
      requireWebGpuDevice();
      await tryProvider('webgpu');
    },
    createRunner: createWebGpuRunner,
  }),
  'onnx-cpu': graphEngine({
    install:
      'npm install onnxruntime-node (its native library needs glibc 2.28, macOS 13.4 or Windows 10)',
    prepare: loadOnnxruntime,
    createRunner: (job) => createOnnxRunner(job, 'cpu'),
  }),
  'tfjs-node-gpu': operationsEngine(
    'tfjs-node-gpu',
    'npm install @tensorflow/tfjs-node-gpu@4.22.0, which needs CUDA 11.8 with cuDNN 8.6',
  ),
  'tfjs-node': operationsEngine(
    'tfjs-node',
    'npm install @tensorflow/tfjs-node@4.22.0, or where its download is refused: see docs/engines.md of the package codistill',
  ),
  'tfjs-wasm': operationsEngine('tfjs-wasm', 'npm install @tensorflow/tfjs-backend-wasm'),
  'tfjs-cpu': operationsEngine('tfjs-cpu', 'npm install @tensorflow/tfjs-backend-cpu'),
};

function graphEngine(
  engine: Pick<Engine, 'install' | 'createRunner'> & { prepare(): Promise<unknown> },
): Engine {
  // What can be traced can be run: the trace fails for what can't.
  return { ...engine, runs: 'graph', lackingKernels: () => [] };
}

function operationsEngine(
  name: 'tfjs-node-gpu' | 'tfjs-node' | 'tfjs-wasm' | 'tfjs-cpu',
  install: string,
): Engine {
  return {
    runs: 'operations',
    install,
    prepare: () => prepareBackend(name),
    lackingKernels: (kernelNames) => lackingKernels(name, kernelNames),
    createRunner: async ({ step, state, inputs }) => createTfjsRunner(name, step, state, inputs),
  };
}

/** Tries every engine for real, on the device that it computes on. */
export async function listEngines(): Promise<readonly EngineReport[]> {
  const reports: EngineReport[] = [];
  for (const name of engineNames) {
    const { install } = engines[name];
    try {
      await engines[name].prepare();
      reports.push({ name, works: true });
    } catch (error) {
      reports.push({ name, works: false, reason: messageOf(error), install });
    }
  }
  return reports;
}

/** @throws EngineUnavailableError with the reason and what to install. */
export async function prepareEngine(name: EngineName): Promise<Engine> {
  const engine = engines[name];
  try {
    await engine.prepare();
    return engine;
  } catch (error) {
    throw new EngineUnavailableError(
      `The engine '${name}' doesn't work here: ${messageOf(error)}. ` +
        `What it needs: ${engine.install}`,
      { cause: error },
    );
  }
}

/**
 * What `start` makes of the fastest engine that works here, knows all kernels that the step calls and doesn't refuse
 * the step with an EngineUnavailableError. Which kernels those are is not known of a step that can't be compiled: it
 * goes to `tfjs-cpu`, which lacks none.
 * @throws EngineUnavailableError with every engine's reason; other errors of `start`.
 */
export async function startFastest<Started>(
  step: {
    /** The tfjs kernels that the step calls, as far as known. */
    readonly kernelNames: ReadonlySet<string>;
    /** Why the step can't be compiled, if so. */
    readonly obstacle?: Error;
  },
  start: (engine: Engine, name: EngineName) => Promise<Started>,
): Promise<Started> {
  const reasons: string[] = [];
  for (const name of engineNames) {
    try {
      if (name !== 'tfjs-cpu' && step.obstacle !== undefined) throw step.obstacle;
      const engine = await prepareEngine(name);
      const lacking = engine.lackingKernels(step.kernelNames);
      if (lacking.length === 0) return await start(engine, name);
      reasons.push(`The engine '${name}' lacks the kernels ${lacking.join(', ')}.`);
    } catch (error) {
      if (!(error instanceof EngineUnavailableError) && error !== step.obstacle) throw error;
      reasons.push(messageOf(error));
    }
  }
  throw new EngineUnavailableError(
    `No engine can run this step. ${[...new Set(reasons)].join(' ')}`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
