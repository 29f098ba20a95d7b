import { parseTableSchema, type TableSchema } from './table-schema.ts';

/** Fields of Criteo's display ads: counts, then categories as 32 bits in hexadecimal. */
export const criteoIntegers: readonly string[] = Array.from({ length: 13 }, (_, i) => `I${i + 1}`);
export const criteoCategories: readonly string[] = Array.from(
  { length: 26 },
  (_, i) => `C${i + 1}`,
);

export interface CriteoOptions {
  /** Numbers that the values of one category are hashed to, 2 … 2²⁴; 1000 if absent. */
  readonly buckets?: number;
}

/**
 * `train.txt` of Criteo's display advertising challenge (2014), also as `.gz`: without a header,
 * tabs between the label, 13 integers and 26 categories; empty is missing. Integers x become
 * sign(x) · ln(1 + |x|), which takes the −1 and −2 that some have, and are then standardised. (The
 * challenge's `test.txt` has no labels: hold out a part of this file.)
 */
export function criteoSchema({ buckets = 1000 }: CriteoOptions = {}): TableSchema {
  return parseTableSchema({
    delimiter: '\t',
    header: false,
    quotes: false,
    columns: [
      { kind: 'label', name: 'label', classes: ['0', '1'] },
      ...criteoIntegers.map((name) => ({ kind: 'numeric', name, transform: 'signed-log1p' })),
      ...criteoCategories.map((name) => ({ kind: 'categorical', name, buckets })),
    ],
  });
}
