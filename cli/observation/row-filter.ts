import { UserInputError } from '../../errors.ts';

/** Keeps the rows that have all the wanted values. */
export type RowFilter = (row: object) => boolean;

/**
 * From `key=value` texts; a value may hold `*` for any characters, and a key may go into an object with dots, as in
 * `labels.zone=attic`. The first word of a key is one of `keys`, in letters of either case, or a title of `titles`,
 * which has the key that it stands for.
 * @throws UserInputError for a key that is none of `keys`, or a text without `=`
 */
export function parseRowFilter(
  texts: readonly string[],
  keys: readonly string[],
  titles: Readonly<Record<string, string>> = {},
): RowFilter {
  const known = new Map([
    ...Object.entries(titles),
    ...keys.map((key) => [key.toLowerCase(), key] as const),
  ]);
  const conditions = texts.map((text) => {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (key === '') throw new UserInputError(`--filter wants key=value, not "${text}".`);
    const [word = '', ...inside] = key.split('.');
    const first = known.get(word.toLowerCase());
    if (first === undefined) {
      throw new UserInputError(
        `There is nothing called ${key} to filter by; there are: ${keys.join(', ')}.`,
      );
    }
    const pattern = value.split('*').map(escapePattern).join('.*');
    return { path: [first, ...inside], fits: new RegExp(`^${pattern}$`, 's') };
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
