import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import process from 'node:process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { createRandomGenerator, type RandomGenerator } from '../../random.ts';
import { cannotWrite } from '../atomic-file.ts';
import { criteoCategories, criteoIntegers } from './criteo.ts';
import { murmurHash3 } from './murmur-hash.ts';
import { signedLog1p } from './row-parser.ts';

export interface CriteoGeneratorOptions {
  readonly rows: number;
  /** 0 … 2⁵³ − 1; another seed draws other rows of the same structure. */
  readonly seed: number;
  /** Of the structure: effects of fields and values; 0 if absent. */
  readonly structureSeed?: number;
}

/** A row in Criteo's format, with what nobody knows of real data. */
export interface GeneratedRow {
  /** Without its line end. */
  readonly line: string;
  /** Of a click, given the fields that the row shows. */
  readonly clickProbability: number;
}

/** Fields that matter; all others are noise. Integers by what their logarithm adds. */
const INTEGER_EFFECTS: readonly (readonly [integer: number, effect: number])[] = [
  [0, 0.5],
  [4, -0.4],
  [6, 0.4],
];
/** Categories by the deviation of their values' effects. */
const CATEGORY_EFFECTS: readonly (readonly [category: number, deviation: number])[] = [
  [0, 0.8],
  [4, 0.4],
  [7, 0.6],
  [13, 0.5],
  [16, 0.5],
];
/** Pairs of categories whose joint effect no sum of single ones can say. */
const CATEGORY_PAIRS: readonly (readonly [first: number, second: number, size: number])[] = [
  [0, 4, 0.7],
  [7, 16, 0.5],
];
/** An integer counts for more or less by the value of a category. */
const MIXED_PAIR = { integer: 0, category: 13, size: 0.25 } as const;
const BIAS = -0.9;

/** Different values of each category: some few, some very many. */
const CARDINALITIES = criteoCategories.map((_, index) => [8, 40, 300, 3000, 60_000][index % 5]!);
/** As in the real data some fields are nearly always there and some mostly absent. */
const missingShare = (field: number): number => [0, 0.02, 0.1, 0.45][field % 4]!;

/**
 * Rows in Criteo's format from a logistic model with a known structure: three integers, five
 * categories, two interactions of categories and one of an integer with a category; the other fields
 * are noise. Values are skewed (the k-th most frequent of a category has a share of about 1 / k),
 * fields are missing as often as in the real data, and what is missing has an effect of its own, so
 * that the click probability is exactly what the shown fields say. The mean entropy of these
 * probabilities is the Bayes log loss: no model can do better.
 */
export function* generateCriteo(options: CriteoGeneratorOptions): Generator<GeneratedRow> {
  const { rows, seed, structureSeed = 0 } = options;
  if (!Number.isSafeInteger(rows) || rows < 1) {
    throw new RangeError(`rows is ${rows}: it takes a whole number from 1 on`);
  }
  const random = createRandomGenerator(seed, 'criteo rows');
  const structure = createStructure(structureSeed);
  for (let row = 0; row < rows; row++) {
    const integers = criteoIntegers.map((_, index) => drawInteger(random, index));
    const values = criteoCategories.map((_, index) => drawCategory(random, index));
    const clickProbability = structure.clickProbability(integers, values);
    const label = random.nextUniform(0, 1) < clickProbability ? 1 : 0;
    const categories = values.map((value, index) =>
      value === undefined ? '' : hexadecimal(index, value),
    );
    const line = [label, ...integers.map((value) => value ?? ''), ...categories].join('\t');
    yield { line, clickProbability };
  }
}

/** What a generated file holds. */
export interface CriteoFile {
  readonly rows: number;
  /** Nats per row of the best possible prediction, as a mean over these rows. */
  readonly bayesLogLoss: number;
  /** Mean of the click probabilities. */
  readonly clickRate: number;
}

/**
 * Writes such rows to `path`, packed if it ends in `.gz`.
 * @throws UserInputError when it can't be written; there is then no file.
 */
export async function writeCriteoFile(
  path: string,
  options: CriteoGeneratorOptions,
): Promise<CriteoFile> {
  const draft = `${path}.${process.pid}.tmp`;
  let entropy = 0;
  let clicks = 0;
  const lines = function* (): Generator<string> {
    let text = '';
    for (const { line, clickProbability: p } of generateCriteo(options)) {
      entropy -= p * Math.log(p) + (1 - p) * Math.log1p(-p);
      clicks += p;
      text += `${line}\n`;
      if (text.length < 1 << 16) continue;
      yield text;
      text = '';
    }
    yield text;
  };
  const file = createWriteStream(draft);
  try {
    if (path.endsWith('.gz')) await pipeline(Readable.from(lines()), createGzip(), file);
    else await pipeline(Readable.from(lines()), file);
    await rename(draft, path);
  } catch (cause) {
    await rm(draft, { force: true });
    if (cause instanceof RangeError) throw cause;
    throw cannotWrite(path, cause);
  }
  const { rows } = options;
  return { rows, bayesLogLoss: entropy / rows, clickRate: clicks / rows };
}

function createStructure(seed: number) {
  const effectOf = cached((name) => {
    const normal = standardNormal(createRandomGenerator(seed, name));
    return normal;
  });
  return {
    clickProbability(
      integers: readonly (number | undefined)[],
      categories: readonly (number | undefined)[],
    ): number {
      let score = BIAS;
      for (const [index, effect] of INTEGER_EFFECTS) {
        const value = integers[index];
        // A missing count has an effect of its own: that of no value.
        score += value === undefined ? -effect : effect * (signedLog1p(value) - 1);
      }
      for (const [index, deviation] of CATEGORY_EFFECTS) {
        score += deviation * effectOf(`C${index}=${categories[index] ?? ''}`);
      }
      for (const [first, second, size] of CATEGORY_PAIRS) {
        const [left, right] = [categories[first] ?? '', categories[second] ?? ''];
        // A product of signs: the mean over either category is about nothing.
        score +=
          size *
          Math.sign(effectOf(`pair C${first}=${left}`)) *
          Math.sign(effectOf(`pair C${second}=${right}`));
      }
      const { integer, category, size } = MIXED_PAIR;
      const count = integers[integer];
      if (count !== undefined) {
        score +=
          size * (signedLog1p(count) - 1) * effectOf(`mixed C${category}=${categories[category]}`);
      }
      return 1 / (1 + Math.exp(-score));
    },
  };
}

const CACHED_EFFECTS_MAX = 1 << 18;

function cached(compute: (name: string) => number): (name: string) => number {
  const known = new Map<string, number>();
  return (name) => {
    let value = known.get(name);
    if (value === undefined) {
      value = compute(name);
      if (known.size >= CACHED_EFFECTS_MAX) known.clear();
      known.set(name, value);
    }
    return value;
  };
}

/** Counts with a long tail; the second integer begins at −2, as in the real data. */
function drawInteger(random: RandomGenerator, index: number): number | undefined {
  const isMissing = random.nextUniform(0, 1) < missingShare(index);
  const count = Math.floor(Math.exp(standardNormal(random) * 1.3 + (index % 3) * 0.8));
  return isMissing ? undefined : count - (index === 1 ? 2 : 0);
}

/** Log-uniform, so that value k has a share of about 1 / k. */
function drawCategory(random: RandomGenerator, index: number): number | undefined {
  const isMissing = random.nextUniform(0, 1) < missingShare(index + 1);
  const value = Math.floor(CARDINALITIES[index]! ** random.nextUniform(0, 1)) - 1;
  return isMissing ? undefined : value;
}

function standardNormal(random: RandomGenerator): number {
  // Box and Muller; 1 − u keeps the logarithm finite.
  const radius = Math.sqrt(-2 * Math.log(1 - random.nextUniform(0, 1)));
  return radius * Math.cos(2 * Math.PI * random.nextUniform(0, 1));
}

function hexadecimal(category: number, value: number): string {
  return murmurHash3(`${category}:${value}`, 0).toString(16).padStart(8, '0');
}
