import { stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { predictionsFile, readPredictions } from '../../datasets/index.ts';
import { UserInputError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { formatTable } from '../output/table.ts';
import type { CommandContext } from '../program.ts';
import { readReplicaWeights } from '../run/replica-weights.ts';
import { findRun } from '../run/run-directory.ts';
import { compareCheckpoints } from './checkpoint-churn.ts';
import {
  type Churn,
  churnBetween,
  logLoss,
  type Served,
  type ServedPredictions,
  servedPredictions,
} from './churn.ts';
import { formatEstimate } from './reading.ts';
import { jackknife, meanOf } from './statistics.ts';

export interface ChurnFlags {
  readonly served: Served;
  readonly threshold?: number;
}

interface PredictionSet extends ServedPredictions {
  readonly name: string;
}

/** What was found out of some models on the same rows. */
interface Comparison {
  readonly rows: number;
  readonly pairs: readonly { readonly indices: readonly [number, number]; readonly churn: Churn }[];
  /** Nats per row by model; `null`: the right classes aren't known. */
  readonly losses: readonly (number | null)[];
}

/** `actorctl churn A B …`: all pairs of models, by their saved predictions or by their checkpoints. */
export async function churnCommand(
  names: readonly string[],
  flags: ChurnFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  if (names.length < 2)
    throw new UserInputError('Give two sets of predictions or more to compare.');
  const places = await Promise.all(names.map((name) => findPredictions(name, environment.cwd)));
  const { rows, pairs, losses } = places.some(({ file }) => file === undefined)
    ? await compareRuns(places, flags)
    : await comparePredictions(places, flags);
  const mean = (key: keyof Churn) =>
    jackknife(names.length, (kept) =>
      meanOf(
        pairs
          .filter(({ indices }) => indices.every((index) => kept.includes(index)))
          .map(({ churn }) => churn[key]),
      ),
    );
  const result = {
    type: 'churn',
    rows,
    served: flags.served,
    difference: mean('difference'),
    flips: mean('flips'),
    pairs: pairs.map(({ indices: [one, other], churn }) => ({
      one: names[one] as string,
      other: names[other] as string,
      ...churn,
    })),
    losses: names.map((name, index) => ({ name, logLoss: losses[index] ?? null })),
  };
  output.message(describe(result), result);
  return exitCodes.ok;
}

interface Place {
  readonly name: string;
  /** With predictions; undefined for a run that saved none. */
  readonly file: string | undefined;
  readonly directory: string;
}

/** A run's folder, or a file. @throws UserInputError */
async function findPredictions(name: string, cwd: string): Promise<Place> {
  const path = resolve(cwd, name);
  if (await isFile(path)) return { name, file: path, directory: dirname(path) };
  const { path: directory } = await findRun(name, cwd);
  const file = join(directory, predictionsFile);
  return { name, directory, file: (await isFile(file)) ? file : undefined };
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

async function comparePredictions(
  places: readonly Place[],
  { served, threshold }: ChurnFlags,
): Promise<Comparison> {
  const sets = await Promise.all(
    places.map(async ({ name, file }): Promise<PredictionSet> => {
      const predictions = await readPredictions(file as string);
      return { name, ...servedPredictions(predictions, served) };
    }),
  );
  checkComparable(sets, threshold);
  const [{ classes, probabilities }] = sets as [PredictionSet];
  return {
    rows: probabilities.length / classes,
    pairs: pairsOf(sets).map(({ indices, one, other }) => ({
      indices,
      churn: churnBetween(one.probabilities, other.probabilities, { classes, threshold }),
    })),
    losses: sets.map(({ targets, probabilities: own }) =>
      targets === undefined ? null : logLoss(own, targets, classes),
    ),
  };
}

/** The first replicas, as of their last checkpoints, on the rows that nobody trained on. */
async function compareRuns(
  places: readonly Place[],
  { served, threshold }: ChurnFlags,
): Promise<Comparison> {
  if (served !== 'first' || threshold !== undefined) {
    throw new UserInputError(
      '--served and --threshold need saved predictions; checkpoints are compared by their first replica.',
    );
  }
  const models = await Promise.all(
    places.map(async ({ name, directory }) => ({
      run: name,
      ...(await readReplicaWeights(directory)),
    })),
  );
  const losses: number[] = [];
  const pairs: Comparison['pairs'][number][] = [];
  let rows = 0;
  for (const { indices, one, other } of pairsOf(models)) {
    const found = await compareCheckpoints(one, other, availableParallelism());
    pairs.push({ indices, churn: found.churn });
    rows = found.rows;
    for (const at of [0, 1] as const) losses[indices[at]] = found.losses[at];
  }
  return { rows, pairs, losses };
}

function pairsOf<T>(all: readonly T[]) {
  return all.flatMap((one, first) =>
    all.slice(first + 1).map((other, index) => ({
      indices: [first, first + 1 + index] as const,
      one,
      other,
    })),
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
