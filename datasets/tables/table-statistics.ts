import { UserInputError } from '../../errors.ts';
import type { CategoricalFeature, NumericFeature } from '../prepared/dataset.ts';
import { columnsOf, type ParsedRow } from './row-parser.ts';
import type { TableSchema } from './table-schema.ts';

/** Different values of a column are held in memory. */
const VALUES_MAX = 1 << 20;
const CLASSES_MAX = 10_000;

/** What is learned from a first pass over the rows, one row at a time. */
export class TableStatistics {
  readonly #schema: TableSchema;
  readonly #numeric: Moments[];
  readonly #categorical: ValueCounts[];
  readonly #labels = new Set<string>();
  #trainingRows = 0;

  constructor(schema: TableSchema) {
    this.#schema = schema;
    this.#numeric = columnsOf(schema, 'numeric').map(() => new Moments());
    this.#categorical = columnsOf(schema, 'categorical').map(
      ({ name, buckets }) => new ValueCounts(name, { counts: buckets === undefined }),
    );
  }

  get trainingRows(): number {
    return this.#trainingRows;
  }

  /**
   * Classes are taken from all rows; what features are made of from training rows alone.
   * @throws UserInputError when a column has more values than fit.
   */
  add(row: ParsedRow, isTraining: boolean): void {
    this.#labels.add(row.label);
    if (this.#labels.size > CLASSES_MAX) {
      throw new UserInputError(
        `the label has over ${CLASSES_MAX} different values: name a column of classes as label`,
      );
    }
    if (!isTraining) return;
    this.#trainingRows++;
    for (const [index, value] of row.numeric.entries()) this.#numeric[index]!.add(value);
    for (const [index, value] of row.categorical.entries()) this.#categorical[index]!.add(value);
  }

  /** The schema's, else those that were seen. */
  classes(): readonly string[] {
    const declared = columnsOf(this.#schema, 'label')[0]!.classes;
    if (declared !== undefined) return declared;
    return sortClasses(this.#labels);
  }

  numericFeatures(): NumericFeature[] {
    return columnsOf(this.#schema, 'numeric').flatMap(
      ({ name, transform, indicateMissing }, index) => {
        const { mean, deviation, missing } = this.#numeric[index]!;
        const feature = { name, transform, mean, deviation, missing };
        if (!indicateMissing) return [feature];
        const indicator = { transform: 'none', mean: 0, deviation: 1, missing: 0 } as const;
        return [feature, { name: `${name}:missing`, ...indicator }];
      },
    );
  }

  categoricalFeatures(): CategoricalFeature[] {
    return columnsOf(this.#schema, 'categorical').map(({ name, buckets }, index) => {
      const { missing, values } = this.#categorical[index]!;
      return buckets === undefined
        ? { name, cardinality: values.length + 1, values: [...values], missing }
        : { name, cardinality: buckets, missing };
    });
  }
}

/** Numbers by size, words by alphabet. */
export function sortClasses(classes: Iterable<string>): string[] {
  const labels = [...classes];
  const areNumbers = labels.every((label) => label.trim() !== '' && !Number.isNaN(Number(label)));
  return areNumbers ? labels.sort((a, b) => Number(a) - Number(b)) : labels.sort();
}

/** Mean and deviation of a stream of numbers (Welford 1962), which loses no precision on the way. */
class Moments {
  #count = 0;
  #mean = 0;
  #squares = 0;
  #missing = 0;

  add(value: number): void {
    if (Number.isNaN(value)) {
      this.#missing++;
      return;
    }
    this.#count++;
    const distance = value - this.#mean;
    this.#mean += distance / this.#count;
    this.#squares += distance * (value - this.#mean);
  }

  get mean(): number {
    return this.#mean;
  }

  get deviation(): number {
    return Math.sqrt(this.#squares / Math.max(1, this.#count)) || 1;
  }

  get missing(): number {
    return this.#missing;
  }
}

class ValueCounts {
  readonly #column: string;
  /** Absent where values are hashed. */
  readonly #counts: Map<string, number> | undefined;
  #missing = 0;

  constructor(column: string, { counts }: { readonly counts: boolean }) {
    this.#column = column;
    this.#counts = counts ? new Map() : undefined;
  }

  add(value: string | undefined): void {
    if (value === undefined) this.#missing++;
    else if (this.#counts !== undefined) {
      this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
      if (this.#counts.size > VALUES_MAX) {
        throw new UserInputError(
          `column ${this.#column} has over ${VALUES_MAX} different values: give it buckets in ` +
            'the schema, to which its values are hashed, or ignore it',
        );
      }
    }
  }

  get missing(): number {
    return this.#missing;
  }

  /** The most frequent first, so that numbers say how rare a value is. */
  get values(): readonly string[] {
    return [...(this.#counts ?? [])]
      .sort(([a, left], [b, right]) => right - left || (a < b ? -1 : 1))
      .map(([value]) => value);
  }
}
