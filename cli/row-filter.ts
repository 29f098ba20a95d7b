import { UserInputError } from '../errors.ts';

/** Keeps the rows that have all the wanted values. */
export type RowFilter = (row: object) => boolean;

/**
 * From `key=value` texts; a value may hold `*` for any characters, and a key may go into an object with dots, as in
 * `labels.zone=attic`.
 * @throws UserInputError for a key that is none of `keys`, or a text without `=`
 */
export function parseRowFilter(texts: readonly string[], keys: readonly string[]): RowFilter {
  const conditions = texts.map((text) => {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (key === '') throw new UserInputError(`--filter wants key=value, not "${text}".`);
    if (!keys.includes(key.split('.')[0] as string)) {
      throw new UserInputError(
        `There is nothing called ${key} to filter by; there are: ${keys.join(', ')}.`,
      );
    }
    const pattern = value.split('*').map(escapePattern).join('.*');
    return { path: key.split('.'), fits: new RegExp(`^${pattern}$`, 's') };
  });
  return (row) =>
    conditions.every(({ path, fits }) => {
      const value = path.reduce<unknown>(lookUp, row);
      return value !== undefined && fits.test(String(value));
    });
}

function escapePattern(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

function lookUp(object: unknown, key: string): unknown {
  if (typeof object !== 'object' || object === null || !Object.hasOwn(object, key))
    return undefined;
  return (object as Record<string, unknown>)[key];
}
