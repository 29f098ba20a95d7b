import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { encodeSafetensors, exportOnnx, type NamedTensors } from '../../compiler/index.ts';
import { openCorpus } from '../../datasets/index.ts';
import { DamagedDataError, UserInputError } from '../../errors.ts';
import { createFileCheckpointStore, decodeFrame } from '../../runtime/index.ts';
import {
  createInference,
  type LanguageModelConfig,
  languageModelParameters,
} from '../../training/index.ts';
import { writeAtomically } from '../atomic-file.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { formatBytes } from '../output/quantity.ts';
import type { CommandContext } from '../program.ts';
import { findRun } from './run-directory.ts';

export interface ExportFlags {
  readonly replica: string;
  readonly format: 'onnx' | 'safetensors';
  readonly output: string;
  readonly batch: number;
  readonly time: number;
}

/** `actorctl export RUN`: a replica's weights as of its last checkpoint, in a file for other programs. */
export async function exportCommand(
  run: string,
  flags: ExportFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const { path: directory, record } = await findRun(run, environment.cwd);
  if (record.job.example !== 'lm-codistill') {
    throw new UserInputError(
      `${directory} is a run of ${record.job.name}; only those of lm-codistill can be exported.`,
    );
  }
  const model = await readModel(directory, record.options, flags.replica);
  const { step, weights } = await readWeights(directory, flags.replica, model);
  const { fn, inputs } = createInference(model, flags);
  const bytes =
    flags.format === 'onnx'
      ? exportOnnx(fn, { weights, inputs })
      : encodeSafetensors({
          tensors: weights,
          metadata: { model: JSON.stringify(model), step: `${step}`, replica: flags.replica },
        });
  const path = resolve(environment.cwd, flags.output);
  writeAtomically(path, bytes);
  output.message(
    `${flags.replica} as of step ${step} is in ${path} (${flags.format}, ${formatBytes(bytes.length)}).`,
    {
      type: 'export',
      run: directory,
      replica: flags.replica,
      step,
      format: flags.format,
      path,
      bytes: bytes.length,
    },
  );
  return exitCodes.ok;
}

const sizes = {
  kind: v.string(),
  embeddingSize: v.number(),
  hiddenSize: v.number(),
  layers: v.number(),
};

const optionsSchema = v.object({
  model: v.object(sizes),
  perReplica: v.record(v.string(), v.object({ model: v.optional(v.partial(v.object(sizes))) })),
});

/** The sizes that the run's options name; those of the vocabulary are its corpus's. */
async function readModel(
  directory: string,
  options: Readonly<Record<string, unknown>>,
  replica: string,
): Promise<LanguageModelConfig> {
  const parsed = v.safeParse(optionsSchema, options);
  if (!parsed.success) {
    throw new DamagedDataError(`${directory}/run.json lacks the sizes of the model.`);
  }
  const own = parsed.output.perReplica[replica.replace(/^replica-/, '')]?.model;
  const { kind, ...model } = { ...parsed.output.model, ...own };
  if (kind !== 'lstm') {
    throw new UserInputError(`${replica} is a ${kind}; only models of the kind lstm are exported.`);
  }
  const { vocabularySize } = await openCorpus(join(directory, 'data'));
  return { vocabularySize, ...(model as Omit<LanguageModelConfig, 'vocabularySize'>) };
}

const checkpointSchema = v.looseObject({
  step: v.number(),
  state: v.record(v.string(), v.instance(Float32Array)),
});

async function readWeights(
  directory: string,
  replica: string,
  model: LanguageModelConfig,
): Promise<{ readonly step: number; readonly weights: NamedTensors }> {
  const store = createFileCheckpointStore(join(directory, 'checkpoints'));
  const bytes = await store.load(replica);
  if (bytes === undefined) {
    throw new UserInputError(
      `${directory} has no checkpoint of ${replica}: give another --replica, or let it reach its first checkpoint.`,
    );
  }
  const checkpoint = v.safeParse(checkpointSchema, decodeFrame(bytes));
  if (!checkpoint.success) {
    throw new UserInputError(`${replica} of ${directory} is no replica: it has no weights.`);
  }
  const { step, state } = checkpoint.output;
  const weights: Record<string, NamedTensors[string]> = {};
  for (const [name, shape] of Object.entries(languageModelParameters(model))) {
    const data = state[`student/${name}`];
    if (data === undefined)
      throw new DamagedDataError(`The checkpoint of ${replica} lacks ${name}.`);
    weights[name] = { shape, dtype: 'float32', data };
  }
  return { step, weights };
}
