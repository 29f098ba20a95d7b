import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as v from 'valibot';
import type { DataSource } from '../datasets/index.ts';
import { DamagedDataError } from '../errors.ts';
import type { ModelConfig } from '../training/index.ts';
import type { GroupPlan } from './group-plan.ts';

/** Content of `group.json` in a run directory: what its checkpoints are of, and the rows that nobody trained on. */
export interface GroupFile {
  readonly format: 1;
  readonly replicas: readonly { readonly name: string; readonly model: ModelConfig }[];
  readonly heldOut: DataSource;
  /** Rows of one held-out batch. */
  readonly batch: number;
  readonly evaluationBatches: number;
}

const groupFileSchema = v.object({
  format: v.literal(1),
  replicas: v.array(v.object({ name: v.string(), model: v.looseObject({ kind: v.string() }) })),
  heldOut: v.looseObject({ kind: v.picklist(['text', 'records']) }),
  batch: v.number(),
  evaluationBatches: v.number(),
});

export async function writeGroupFile(directory: string, plan: GroupPlan): Promise<void> {
  const { replicas, heldOut, evaluationBatch, evaluationBatches } = plan;
  const content: GroupFile = {
    format: 1,
    replicas: replicas.map(({ name, model }) => ({ name, model })),
    heldOut,
    batch: evaluationBatch,
    evaluationBatches,
  };
  await writeFile(join(directory, 'group.json'), `${JSON.stringify(content, undefined, 2)}\n`);
}

/** Undefined when the run is none of a codistillation group. @throws DamagedDataError */
export async function readGroupFile(directory: string): Promise<GroupFile | undefined> {
  const path = join(directory, 'group.json');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    // Only its outline is checked: it is a file of our own, which whoever opens data and models checks further.
    return v.parse(groupFileSchema, JSON.parse(text)) as unknown as GroupFile;
  } catch (cause) {
    throw new DamagedDataError(`${path} is damaged: ${(cause as Error).message}`, { cause });
  }
}
