import { resolve } from 'node:path';
import { encodeSafetensors, exportOnnx, type NamedTensors } from '../../compiler/index.ts';
import { UserInputError } from '../../errors.ts';
import {
  createInference,
  createModel,
  type ModelConfig,
  weightShapes,
} from '../../training/index.ts';
import { writeAtomically } from '../atomic-file.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { formatBytes } from '../output/quantity.ts';
import type { CommandContext } from '../program.ts';
import { type ReplicaWeights, readReplicaWeights } from './replica-weights.ts';
import { findRun } from './run-directory.ts';

export interface ExportFlags {
  readonly replica: string;
  readonly format: 'onnx' | 'safetensors';
  readonly output: string;
  readonly batch: number;
  readonly time?: number;
}

/** `actorctl export RUN`: a replica's weights as of its last checkpoint, in a file for other programs. */
export async function exportCommand(
  run: string,
  flags: ExportFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const { path: directory } = await findRun(run, environment.cwd);
  const replica = await readReplicaWeights(directory, flags.replica);
  const { inputs, bytes } =
    flags.format === 'onnx'
      ? onnxOf(replica, flags)
      : { inputs: undefined, bytes: safetensorsOf(replica) };
  const path = resolve(environment.cwd, flags.output);
  writeOutput(path, bytes);
  const { format } = flags;
  output.message(
    `${replica.name} as of step ${replica.step} is in ${path} (${format}, ${formatBytes(bytes.length)}).`,
    {
      type: 'export',
      run: directory,
      replica: replica.name,
      step: replica.step,
      format,
      path,
      bytes: bytes.length,
      ...(inputs && { inputs }),
    },
  );
  return exitCodes.ok;
}

/** @throws UserInputError where the path can't be a file; the system's error where the disk fails. */
function writeOutput(path: string, bytes: Uint8Array): void {
  try {
    writeAtomically(path, bytes);
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    if (!['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM'].includes(code)) throw cause;
    throw new UserInputError(`${path} can't be written: ${message}. Name another with --output.`);
  }
}

function onnxOf(replica: ReplicaWeights, { batch, time }: ExportFlags) {
  const model = createModel(windowOf(replica.config, time));
  const { fn, inputs } = createInference(model, batch);
  return { inputs, bytes: exportOnnx(fn, { weights: tensorsOf(replica), inputs }) };
}

/** A recurrent model reads any number of word pieces in one call, and the next ones in the next. */
function windowOf(config: ModelConfig, time: number | undefined): ModelConfig {
  if (config.kind === 'lstm') return { ...config, time: time ?? 1 };
  if (time === undefined || (config.kind === 'transformer' && time === config.time)) return config;
  const allowed =
    config.kind === 'transformer'
      ? `a transformer reads windows of the ${config.time} that it was trained on`
      : `a ${config.kind} network reads no text`;
  throw new UserInputError(`--time ${time} can't be: ${allowed}. Leave it out.`);
}

function safetensorsOf(replica: ReplicaWeights): Uint8Array<ArrayBuffer> {
  const { config, step, name } = replica;
  const metadata = { model: JSON.stringify(config), step: `${step}`, replica: name };
  return encodeSafetensors({ tensors: tensorsOf(replica), metadata });
}

function tensorsOf({ config, weights }: ReplicaWeights): NamedTensors {
  const shapes = Object.entries(weightShapes(createModel(config)));
  return Object.fromEntries(
    shapes.map(([name, shape]) => [name, { shape, dtype: 'float32', data: weights[name]! }]),
  );
}
