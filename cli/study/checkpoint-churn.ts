import { join } from 'node:path';
import * as v from 'valibot';
import { Evaluator, type GroupFile, readGroupFile } from '../../actors/index.ts';
import { type Batches, openBatches } from '../../datasets/index.ts';
import { UserInputError } from '../../errors.ts';
import { createFileCheckpointStore, decodeFrame } from '../../runtime/index.ts';
import { createModel, weightShapes } from '../../training/index.ts';
import type { Churn } from './churn.ts';

/** The first replica of a run as of its last checkpoint. */
export interface CheckpointModel {
  readonly name: string;
  readonly group: GroupFile;
  readonly step: number;
  readonly weights: Readonly<Record<string, Float32Array>>;
}

/** How far two models are apart, and how good each is. */
export interface CheckpointComparison {
  readonly churn: Churn;
  /** Nats per row. */
  readonly losses: readonly [number, number];
  readonly rows: number;
}

const checkpointSchema = v.looseObject({
  step: v.number(),
  state: v.record(v.string(), v.instance(Float32Array)),
});

/** @throws UserInputError when the run has no checkpoint of a model. */
export async function readCheckpointModel(
  name: string,
  directory: string,
): Promise<CheckpointModel> {
  const group = await readGroupFile(directory);
  const [replica] = group?.replicas ?? [];
  const store = createFileCheckpointStore(join(directory, 'checkpoints'));
  const bytes = replica && (await store.load(replica.name));
  if (group === undefined || replica === undefined || bytes === undefined) {
    throw new UserInputError(
      `${directory} has neither predictions nor a checkpoint of a model. Predictions of examples are saved with ` +
        '--set evaluation.savePredictions=true',
    );
  }
  const { step, state } = v.parse(checkpointSchema, decodeFrame(bytes));
  const names = Object.keys(weightShapes(createModel(replica.model)));
  const weights = Object.fromEntries(
    names.map((weight) => [weight, state[`student/${weight}`] as Float32Array]),
  );
  return { name, group, step, weights };
}

/** Runs both on the held-out rows of the first. @throws UserInputError when the second has other ones. */
export async function compareCheckpoints(
  one: CheckpointModel,
  other: CheckpointModel,
  threads: number,
): Promise<CheckpointComparison> {
  const { heldOut, batch, evaluationBatches } = one.group;
  const batches = await openBatches(heldOut);
  await checkSameRows([one, other], batches, Math.min(evaluationBatches, batches.count));
  const models = [one, other].map(({ group }) => group.replicas[0]!.model);
  await using evaluator = new Evaluator(
    { models, source: heldOut, batch, batchesMax: evaluationBatches, engine: 'auto', threads },
    batches,
  );
  const evaluation = await evaluator.evaluate(
    [one, other].map(({ step, weights }) => ({ weights: () => ({ version: step, weights }) })),
  );
  if (evaluation === null) throw new Error('a checkpoint has no weights');
  const { losses, disagreement, topAgreement, rows } = evaluation;
  return {
    churn: { difference: disagreement, flips: 1 - topAgreement },
    losses: losses as unknown as readonly [number, number],
    rows,
  };
}

/** Another tokenizer, split or text would make it a comparison of different questions. */
async function checkSameRows(
  [one, other]: readonly [CheckpointModel, CheckpointModel] | readonly CheckpointModel[],
  batches: Batches,
  count: number,
): Promise<void> {
  const others = await openBatches({ ...other!.group.heldOut, batch: one!.group.batch });
  for (let cursor = 0; cursor < count; cursor++) {
    const [mine, theirs] = await Promise.all([batches.read(cursor), others.read(cursor)]);
    const same = Object.entries(mine.columns).every(([name, values]) => {
      const found = theirs.columns[name];
      return found?.length === values.length && found.every((value, at) => value === values[at]);
    });
    if (same) continue;
    throw new UserInputError(
      `${one!.name} and ${other!.name} hold other rows out; runs on the same data and options are compared.`,
    );
  }
}
