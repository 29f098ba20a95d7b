import type { TableFeatures } from '../prepared/dataset.ts';
import type { RecordColumn } from '../prepared/record-columns.ts';
import { murmurHash3 } from './murmur-hash.ts';
import { columnsOf, type ParsedRow } from './row-parser.ts';
import type { TableSchema } from './table-schema.ts';

/** Turns rows into what models read; the arrays of a row are written over by the next. */
export interface RowEncoder {
  readonly columns: readonly RecordColumn[];
  encode(row: ParsedRow): Readonly<Record<string, ArrayLike<number>>>;
}

/**
 * Numbers are standardised, missing ones become the mean (0). Values of a category become numbers
 * from 1 on, by the list of those seen in training or by MurmurHash3 (seed: the data set's plus the
 * column's index); 0 is missing or, in a list, unknown.
 */
export function createRowEncoder(
  schema: TableSchema,
  features: TableFeatures,
  classes: readonly string[],
): RowEncoder {
  const sources = columnsOf(schema, 'numeric').flatMap(({ indicateMissing }, index) =>
    indicateMissing ? [{ index }, { index, indicates: true }] : [{ index }],
  );
  const numbering = features.categorical.map(({ values, cardinality }, index) => {
    if (values !== undefined) {
      const numbers = new Map(values.map((value, position) => [value, position + 1]));
      return (value: string) => numbers.get(value) ?? 0;
    }
    const seed = (features.hashSeed + index) >>> 0;
    return (value: string) => 1 + (murmurHash3(value, seed) % (cardinality - 1));
  });
  const labels = new Map(classes.map((name, index) => [name, index]));
  const numeric = new Float32Array(features.numeric.length);
  const categories = new Int32Array(features.categorical.length);
  const label = new Int32Array(1);
  return {
    columns: [
      ...(numeric.length > 0
        ? [{ name: 'numeric', type: 'float32', shape: [numeric.length] } as const]
        : []),
      ...(categories.length > 0
        ? [{ name: 'categories', type: 'int32', shape: [categories.length] } as const]
        : []),
      { name: 'label', type: 'int32', shape: [] },
    ],
    encode(row) {
      for (const [place, { index, indicates = false }] of sources.entries()) {
        const value = row.numeric[index]!;
        const { mean, deviation } = features.numeric[place]!;
        const isMissing = Number.isNaN(value);
        if (indicates) numeric[place] = isMissing ? 1 : 0;
        else numeric[place] = isMissing ? 0 : (value - mean) / deviation;
      }
      for (const [index, value] of row.categorical.entries()) {
        categories[index] = value === undefined ? 0 : numbering[index]!(value);
      }
      label[0] = labels.get(row.label)!;
      return { numeric, categories, label };
    },
  };
}
