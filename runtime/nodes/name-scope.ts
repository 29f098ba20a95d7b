/**
 * The full name of what is called `name` within a scope: a job's actors have their job's scope before
 * their names. A name with a slash is a full one already; `/name` is one that is in no scope.
 */
export function fullName(scope: string | undefined, name: string): string {
  if (name.startsWith('/')) return name.slice(1);
  return scope === undefined || name.includes('/') ? name : `${scope}/${name}`;
}

/** The scope of a full name; undefined when it is in none. */
export function scopeOf(name: string): string | undefined {
  const end = name.indexOf('/');
  return end < 0 ? undefined : name.slice(0, end);
}

/** @throws RangeError when no actor can have this full name. */
export function checkFullName(name: string): void {
  if (name.length === 0 || name.length > 128) {
    throw new RangeError(`an actor's name must have 1 to 128 characters, got ${name.length}`);
  }
  if (/^([^/]+\/)?[^/]+$/.test(name)) return;
  throw new RangeError(`an actor's name is NAME or SCOPE/NAME, got ${JSON.stringify(name)}`);
}
