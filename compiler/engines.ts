import * as tf from '@tensorflow/tfjs-core';
import { EngineUnavailableError } from '../errors.ts';
import { loadOnnxruntime } from './onnx-engine.ts';
import { prepareBackend } from './tfjs-backend.ts';

/** What can run a compiled step, the fastest first. */
export const engineNames = ['onnx-cpu', 'tfjs-wasm', 'tfjs-cpu'] as const;
export type EngineName = (typeof engineNames)[number];

export interface EngineReport {
  readonly name: EngineName;
  readonly works: boolean;
  /** Why it doesn't work. */
  readonly reason?: string;
  /** What to do so that it works. */
  readonly install?: string;
}

const PREPARE: Readonly<Record<EngineName, () => Promise<unknown>>> = {
  'onnx-cpu': loadOnnxruntime,
  'tfjs-wasm': () => prepareBackend('wasm'),
  'tfjs-cpu': () => prepareBackend('cpu'),
};

const INSTALL: Readonly<Record<EngineName, string>> = {
  'onnx-cpu':
    'npm install onnxruntime-node (its native library needs glibc 2.28, macOS 13.4 or Windows 10)',
  'tfjs-wasm': 'npm install @tensorflow/tfjs-backend-wasm',
  'tfjs-cpu': 'npm install @tensorflow/tfjs-backend-cpu',
};

/** Tries every engine for real: loads its library and initialises it. */
export async function listEngines(): Promise<readonly EngineReport[]> {
  return Promise.all(
    engineNames.map(async (name): Promise<EngineReport> => {
      try {
        await PREPARE[name]();
        return { name, works: true };
      } catch (error) {
        return { name, works: false, reason: messageOf(error), install: INSTALL[name] };
      }
    }),
  );
}

/** @throws EngineUnavailableError with the reason and what to install. */
export async function prepareEngine(name: EngineName): Promise<void> {
  try {
    await PREPARE[name]();
  } catch (error) {
    throw new EngineUnavailableError(
      `The engine '${name}' doesn't work here: ${messageOf(error)}. To install it: ${INSTALL[name]}`,
      { cause: error },
    );
  }
}

/**
 * Prepares the fastest engine that works here and knows all kernels that the step calls. Which those
 * are is not known of a step that can't be compiled: it goes to `tfjs-cpu`, which lacks none.
 * @throws EngineUnavailableError with every engine's reason.
 */
export async function chooseEngine(step: {
  /** The tfjs kernels that the step calls, as far as known. */
  readonly kernelNames: ReadonlySet<string>;
  /** Why the step can't be compiled, if so. */
  readonly obstacle?: Error;
}): Promise<EngineName> {
  const reasons: string[] = [];
  for (const name of engineNames) {
    try {
      if (name !== 'tfjs-cpu' && step.obstacle !== undefined) throw step.obstacle;
      await prepareEngine(name);
      if (name !== 'onnx-cpu') checkKernels(step.kernelNames, name);
      return name;
    } catch (error) {
      reasons.push(messageOf(error));
    }
  }
  throw new EngineUnavailableError(
    `No engine can run this step. ${[...new Set(reasons)].join(' ')}`,
  );
}

function checkKernels(kernelNames: ReadonlySet<string>, engine: 'tfjs-wasm' | 'tfjs-cpu'): void {
  const backendName = engine === 'tfjs-wasm' ? 'wasm' : 'cpu';
  const missing = [...kernelNames].filter(
    (kernel) => tf.getKernel(kernel, backendName) === undefined,
  );
  if (missing.length === 0) return;
  throw new EngineUnavailableError(
    `The engine '${engine}' lacks the kernels ${missing.join(', ')}.`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
