/** @throws TypeError where `options` has a name that isn't one of `known`: it would go unheard. */
export function checkNames(what: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(`${what} has no option '${unknown}'; there are ${known.join(', ')}.`);
}

/** What something is, for an error that expected something else. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === 'object' ? value.constructor?.name || 'an object' : `a ${typeof value}`;
}
