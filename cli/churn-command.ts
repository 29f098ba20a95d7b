import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Predictions, predictionsFile, readPredictions } from '../datasets/index.ts';
import { UserInputError } from '../errors.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import type { CommandContext } from './program.ts';
import { findRun } from './run-directory.ts';
import {
  type Churn,
  churnBetween,
  logLoss,
  type Served,
  type ServedPredictions,
  servedPredictions,
} from './study/churn.ts';
import { formatEstimate } from './study/reading.ts';
import { jackknife, meanOf } from './study/statistics.ts';
import { formatTable } from './table.ts';

export interface ChurnFlags {
  readonly served: Served;
  readonly threshold?: number;
}

interface PredictionSet extends ServedPredictions {
  readonly name: string;
}

/** `actorctl churn A B …`: all pairs of sets of predictions, and how good each set is. */
export async function churnCommand(
  names: readonly string[],
  { served, threshold }: ChurnFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  if (names.length < 2)
    throw new UserInputError('Give two sets of predictions or more to compare.');
  const sets = await Promise.all(
    names.map(async (name): Promise<PredictionSet> => {
      const predictions = await readSet(name, environment.cwd);
      return { name, ...servedPredictions(predictions, served) };
    }),
  );
  checkComparable(sets, threshold);
  const pairs = sets.flatMap((one, first) =>
    sets.slice(first + 1).map((other, index) => ({
      indices: [first, first + 1 + index] as const,
      names: [one.name, other.name] as const,
      churn: churnBetween(one.probabilities, other.probabilities, {
        classes: one.classes,
        threshold,
      }),
    })),
  );
  const mean = (key: keyof Churn) =>
    jackknife(sets.length, (kept) =>
      meanOf(
        pairs
          .filter(({ indices }) => indices.every((index) => kept.includes(index)))
          .map(({ churn }) => churn[key]),
      ),
    );
  const losses = sets.map(({ name, targets, probabilities, classes }) => ({
    name,
    logLoss: targets === undefined ? null : logLoss(probabilities, targets, classes),
  }));
  const result = {
    type: 'churn',
    rows: sets[0]!.probabilities.length / sets[0]!.classes,
    served,
    difference: mean('difference'),
    flips: mean('flips'),
    pairs: pairs.map(({ names: [one, other], churn }) => ({ one, other, ...churn })),
    losses,
  };
  output.message(describe(result), result);
  return exitCodes.ok;
}

/** A run's folder, or a file. @throws UserInputError */
async function readSet(name: string, cwd: string): Promise<Predictions> {
  const path = resolve(cwd, name);
  if ((await stat(path).catch(() => undefined))?.isFile()) return await readPredictions(path);
  const run = await findRun(name, cwd);
  const file = join(run.path, predictionsFile);
  if (await stat(file).catch(() => undefined)) return await readPredictions(file);
  throw new UserInputError(
    `${run.path} has saved no predictions. Those of examples (not of text) are saved with ` +
      '--set evaluation.savePredictions=true',
  );
}

function checkComparable(sets: readonly PredictionSet[], threshold: number | undefined): void {
  const [first, ...others] = sets as [PredictionSet, ...PredictionSet[]];
  if (threshold !== undefined && first.classes !== 2) {
    throw new UserInputError(`--threshold is for two classes; ${first.name} has ${first.classes}.`);
  }
  for (const other of others) {
    const size = ({ name, classes, probabilities }: PredictionSet) =>
      `${name} has ${probabilities.length / classes} rows of ${classes} classes`;
    if (
      other.classes !== first.classes ||
      other.probabilities.length !== first.probabilities.length
    ) {
      throw new UserInputError(
        `${size(first)}, ${size(other)}; predictions of the same rows are compared.`,
      );
    }
    const row = first.targets?.findIndex((target, at) => other.targets?.[at] !== target) ?? -1;
    if (other.targets !== undefined && row >= 0) {
      throw new UserInputError(
        `Row ${row + 1} has another target in ${other.name} than in ${first.name}: these are other rows.`,
      );
    }
  }
}

function describe(result: {
  readonly rows: number;
  readonly difference: ReturnType<typeof jackknife>;
  readonly flips: ReturnType<typeof jackknife>;
  readonly pairs: readonly (Churn & { readonly one: string; readonly other: string })[];
  readonly losses: readonly { readonly name: string; readonly logLoss: number | null }[];
}): string {
  const { rows, difference, flips, pairs, losses } = result;
  const percent = (value: number) => `${(100 * value).toFixed(2)} %`;
  const table = formatTable(
    [
      { title: 'one', text: (pair: (typeof pairs)[number]) => pair.one },
      { title: 'other', text: (pair) => pair.other },
      { title: 'difference', align: 'right', text: (pair) => pair.difference.toFixed(4) },
      { title: 'flips', align: 'right', text: (pair) => percent(pair.flips) },
    ],
    pairs,
  );
  const known = losses.filter(({ logLoss: loss }) => loss !== null);
  return [
    table,
    `Mean of ${pairs.length} ${pairs.length === 1 ? 'pair' : 'pairs'} over ${rows} rows: difference ` +
      `${formatEstimate(difference, (value) => value.toFixed(4))}, flips ${formatEstimate(flips, percent)}`,
    ...(known.length === 0
      ? []
      : [
          `Log loss: ${known.map(({ name, logLoss: loss }) => `${name} ${loss?.toFixed(4)}`).join(', ')}`,
        ]),
  ].join('\n');
}
