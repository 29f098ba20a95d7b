import { join } from 'node:path';
import type { TableOptions } from './table-preparation.ts';
import { parseTableSchema, type TableSchema } from './table-schema.ts';

const numeric = (name: string) => ({ kind: 'numeric', name }) as const;
const counted = (name: string) => ({ kind: 'numeric', name, transform: 'signed-log1p' }) as const;
const categorical = (name: string) => ({ kind: 'categorical', name }) as const;

/**
 * UCI Adult (Becker and Kohavi 1996): who earns over 50,000 dollars a year. Its test part begins
 * with a comment and ends its labels with a full stop. Gains and losses are 0 for most, so their
 * logarithm is taken.
 */
export const adultSchema: TableSchema = parseTableSchema({
  header: false,
  quotes: false,
  comment: '|',
  trim: true,
  missing: ['?'],
  columns: [
    numeric('age'),
    categorical('workclass'),
    // What the census weights a row by; it says nothing of the person.
    { kind: 'ignore', name: 'fnlwgt' },
    categorical('education'),
    numeric('education-num'),
    categorical('marital-status'),
    categorical('occupation'),
    categorical('relationship'),
    categorical('race'),
    categorical('sex'),
    counted('capital-gain'),
    counted('capital-loss'),
    numeric('hours-per-week'),
    categorical('native-country'),
    { kind: 'label', name: 'income', classes: ['<=50K', '>50K'], suffix: '.' },
  ],
});

/** The official training and test part in `folder`, as `actorctl data fetch adult` leaves them. */
export function adultFiles(
  folder: string,
): Pick<TableOptions, 'paths' | 'heldOutPaths'> & { readonly schema: TableSchema } {
  return {
    paths: [join(folder, 'adult.data')],
    heldOutPaths: [join(folder, 'adult.test')],
    schema: adultSchema,
  };
}
