import { inspect } from 'node:util';
import * as v from 'valibot';
import { TIMER_MS_MAX } from './clock.ts';

/** What each option may be. The message of a schema says it in words that go after "must be". */
export type OptionSchemas = Readonly<Record<string, v.GenericSchema>>;

const SHOWN_CHARACTERS_MAX = 80;
const secrets: readonly string[] = ['token', 'password', 'nkeySeed'];

/**
 * Checks the options that a caller gave. One that is `undefined` counts as not given.
 * @param what one of them, for messages: `call option`
 * @param hint said about an option that there is none of
 * @throws TypeError for no object, an unknown option and a value of another type, RangeError for a value
 * out of range; the message says which option, what was given and what is allowed.
 */
export function checkGiven(
  what: string,
  schemas: OptionSchemas,
  given: unknown,
  hint?: (name: string) => string,
): void {
  const valid = Object.keys(schemas).join(', ');
  if (!isFields(given)) {
    throw new TypeError(`${what}s must be an object of ${valid}; got ${show(given)}`);
  }
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(schemas, name)) continue;
    throw new TypeError(`there is no ${what} ${name}; valid are: ${valid}${hint?.(name) ?? ''}`);
  }
  for (const [name, schema] of Object.entries(schemas)) {
    const value = given[name];
    if (value === undefined && schema.type === 'optional') continue;
    const { issues } = v.safeParse(schema, value);
    if (issues === undefined) continue;
    const [issue] = issues;
    const place = [name, ...(issue.path ?? []).map(({ key }) => String(key))].join('.');
    const shown = secrets.includes(name) ? `a ${typeof value}` : show(issue.input);
    const message = `${what} ${place} must be ${issue.message}; got ${shown}`;
    // NaN is a number, if none that is allowed.
    if (issue.kind === 'validation' || Number.isNaN(issue.input)) throw new RangeError(message);
    throw new TypeError(message);
  }
}

export function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Without what may be a secret: fields of an object, and the credentials of an address. */
function show(value: unknown): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isFields(value)) {
    const { name } = Object.getPrototypeOf(value)?.constructor ?? Object;
    const keys = Object.keys(value).join(', ') || 'nothing';
    return shorten(name === 'Object' ? `an object of ${keys}` : `an instance of ${name}`);
  }
  return shorten(inspect(value).replace(/\/\/[^@/\s]*@/g, '//'));
}

function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}

export function optional(schema: v.GenericSchema): v.GenericSchema {
  return v.optional(schema);
}

export function whole(least: number, most: number): v.GenericSchema {
  const allowed = `an integer from ${least} to ${most}`;
  return v.pipe(
    v.number(allowed),
    v.integer(allowed),
    v.minValue(least, allowed),
    v.maxValue(most, allowed),
  );
}

export function from(least: number, most: number): v.GenericSchema {
  const allowed = `a number from ${least} to ${most}`;
  return v.pipe(v.number(allowed), v.minValue(least, allowed), v.maxValue(most, allowed));
}

export function fromUp(least: number): v.GenericSchema {
  const allowed = `a number from ${least} up`;
  return v.pipe(v.number(allowed), v.finite(allowed), v.minValue(least, allowed));
}

/** Above 0. */
export function positive(most: number): v.GenericSchema {
  const allowed = `a number over 0, at most ${most}`;
  return v.pipe(v.number(allowed), v.gtValue(0, allowed), v.maxValue(most, allowed));
}

export const timeout: v.GenericSchema = positive(TIMER_MS_MAX);

export function text(least: number, most: number): v.GenericSchema {
  const allowed = `a string of ${least} to ${most} characters`;
  return v.pipe(v.string(allowed), v.minLength(least, allowed), v.maxLength(most, allowed));
}

export function oneOf(...words: readonly string[]): v.GenericSchema {
  return v.picklist(words, words.map((word) => `'${word}'`).join(' or '));
}

export function such(check: (value: unknown) => boolean, allowed: string): v.GenericSchema {
  return v.custom(check, allowed);
}

/** An object whose fields are checked elsewhere, or are an interface's. */
export function fields(allowed: string): v.GenericSchema {
  return v.custom(isFields, allowed);
}

export function list(item: v.GenericSchema, allowed: string): v.GenericSchema {
  return v.array(item, allowed);
}

/** Names of one's own with values of one kind. */
export function named(value: v.GenericSchema, allowed: string, most = 1_000): v.GenericSchema {
  const few = v.maxEntries<Record<string, unknown>, number, string>(most, `at most ${most} names`);
  return v.pipe(v.custom(isFields, allowed), v.record(v.string(), value, allowed), few);
}

export const flag: v.GenericSchema = v.boolean('true or false');
export const string: v.GenericSchema = v.string('a string');
export const callback: v.GenericSchema = v.function('a function');
export const strings: v.GenericSchema = list(string, 'a list of strings');
export const labels: v.GenericSchema = named(string, 'an object of names with strings');
export const abortSignal: v.GenericSchema = v.instance(AbortSignal, 'an AbortSignal');
