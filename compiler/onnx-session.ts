import type { InferenceSession } from 'onnxruntime-node';
import { writeOnnxModel } from './onnx-model.ts';

export type Onnxruntime = typeof import('onnxruntime-node');
export type Session = InferenceSession;

/** What of onnxruntime runs a session. */
export type Provider = 'cpu' | 'webgpu' | 'cuda';

export interface SessionSettings {
  readonly provider: Provider;
  readonly threads?: number;
  readonly profilePrefix?: string | undefined;
  /** Fail where a part of the graph would be left to the processor; default false. */
  readonly whole?: boolean;
  /** Where each output is left; default: in host memory. */
  readonly outputLocations?: InferenceSession.SessionOptions['preferredOutputLocation'];
}

/** Loads the native library. @throws what loading it throws, where it isn't installed or can't run. */
export async function loadOnnxruntime(): Promise<Onnxruntime> {
  // Since 1.29 it tells its makers of each process and session, and keeps an identifier of the user on disk, unless
  // this is set before it starts. Who wants it so sets it to 0.
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
  return import('onnxruntime-node');
}

export function openSession(
  { InferenceSession }: Onnxruntime,
  model: Uint8Array,
  settings: SessionSettings,
): Promise<Session> {
  const { provider, threads = 1, profilePrefix, whole = false, outputLocations } = settings;
  return InferenceSession.create(model, {
    executionProviders: [provider],
    executionMode: 'sequential',
    // Our passes leave it nothing that pays, it takes as long again, and it would undo a layout.
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // What goes wrong comes back as an error; it needs no line on stderr as well.
    logSeverityLevel: 4,
    ...(whole && { extra: { session: { disable_cpu_ep_fallback: '1' } } }),
    ...(outputLocations !== undefined && { preferredOutputLocation: outputLocations }),
    ...(profilePrefix !== undefined && {
      enableProfiling: true,
      profileFilePrefix: profilePrefix,
    }),
  });
}

/** Adds two numbers on the provider's device. @throws Error where that fails. */
export async function tryProvider(provider: Provider): Promise<void> {
  const onnxruntime = await loadOnnxruntime();
  const number = { shape: [1], dtype: 'float32' } as const;
  const sum = { ...number };
  const model = writeOnnxModel({
    inputs: new Map([['x', number]]),
    nodes: [{ operator: 'Add', inputs: [number, number], outputs: [sum], attributes: {} }],
    outputs: new Map([['y', sum]]),
  });
  const session = await openSession(onnxruntime, model, { provider, whole: provider !== 'cpu' });
  try {
    const x = new onnxruntime.Tensor('float32', Float32Array.of(21), [1]);
    const result = Object.values(await session.run({ x }))[0]!;
    const [answer] = (await result.getData()) as Float32Array;
    if (answer !== 42) throw new Error(`${provider} computes 21 + 21 = ${answer}`);
  } finally {
    await session.release();
  }
}
