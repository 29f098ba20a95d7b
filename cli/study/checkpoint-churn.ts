import { Evaluator } from '../../actors/index.ts';
import { type Batches, openBatches } from '../../datasets/index.ts';
import { UserInputError } from '../../errors.ts';
import type { ReplicaWeights } from '../run/replica-weights.ts';
import type { Churn } from './churn.ts';

/** A replica of one of the runs that are compared. */
export interface CheckpointModel extends ReplicaWeights {
  readonly run: string;
}

/** How far two models are apart, and how good each is. */
export interface CheckpointComparison {
  readonly churn: Churn;
  /** Nats per row. */
  readonly losses: readonly [number, number];
  readonly rows: number;
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
  const models = [one, other].map(({ config }) => config);
  await using evaluator = new Evaluator(
    { models, source: heldOut, batch, batchesMax: evaluationBatches, engine: 'auto', threads },
    batches,
  );
  const evaluation = await evaluator.evaluate(
    [one, other].map(({ step, weights }) => [{ weights: () => ({ version: step, weights }) }]),
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
      `${one!.run} and ${other!.run} hold other rows out; runs on the same data and options are compared.`,
    );
  }
}
