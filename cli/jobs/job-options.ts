import * as v from 'valibot';
import { UserInputError } from '../../errors.ts';
import type { OptionProblem } from '../../runtime/index.ts';
import {
  findJobOption,
  type JobOption,
  listJobOptions,
  type OptionSchema,
  parts,
  unwrap,
} from './option-schema.ts';

/** A value that the user gave on the command line. */
export interface Assignment {
  readonly key: string;
  /** One text, or several of an option that is a list. */
  readonly values: readonly string[];
  /** A single value is one item even when it has commas: a path. */
  readonly whole?: boolean;
  /** As typed, for error messages: `--steps 40`. */
  readonly typed: string;
}

/** `key=value` of `--set`. @throws UserInputError */
export function parseAssignment(text: string): Assignment {
  const at = text.indexOf('=');
  if (at < 1) throw new UserInputError(`--set wants key=value, it got: ${text}`);
  return {
    key: text.slice(0, at).trim(),
    values: [text.slice(at + 1)],
    typed: `--set ${text}`,
  };
}

/** What is known of a job when its options are checked. */
export interface CheckedJob {
  readonly name: string;
  readonly options: OptionSchema;
  check?(options: never): readonly OptionProblem[];
}

/**
 * Turns what was typed, and before it what a plan says, into the job's options, checked and with defaults filled in.
 * @throws UserInputError naming the key, what was given and what is allowed.
 */
export function parseJobOptions(
  job: CheckedJob,
  assignments: readonly Assignment[],
  plan: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const known = listJobOptions(job.options);
  const values = structuredClone(plan) as Record<string, unknown>;
  const typedOf = new Map<string, string>();
  for (const assignment of assignments) {
    const option = findJobOption(known, assignment.key);
    if (option === undefined) throw unknownOption(job.name, assignment, known);
    const { key } = assignment;
    const before = typedOf.get(key);
    if (before !== undefined && unwrap(option.schema).type !== 'array') {
      throw new UserInputError(
        `${key} was given twice: ${before} and ${assignment.typed}. Give it once.`,
      );
    }
    typedOf.set(key, assignment.typed);
    const value = coerceAssignment(option.schema, assignment);
    // A list of the plan is replaced, one of the command line grows.
    assign(values, key, value, before !== undefined);
  }
  return checkJobOptions(job, values);
}

/**
 * Checks options against the schema: those from the command line, or those that `run.json` kept.
 * @throws UserInputError with one line for each wrong option.
 */
export function checkJobOptions(
  job: CheckedJob,
  values: Record<string, unknown>,
): Record<string, unknown> {
  const result = v.safeParse(job.options, values);
  const known = listJobOptions(job.options);
  const lines = result.success
    ? (job.check?.(result.output as never) ?? []).map(describeProblem)
    : result.issues.map((issue) => describeIssue(issue, known));
  if (result.success && lines.length === 0) return result.output as Record<string, unknown>;
  const distinct = [...new Set(lines)];
  throw new UserInputError(`${job.name} can't run with these options. ${distinct.join(' ')}`);
}

/** The options as a list for people, one line each. */
export function formatJobOptions(schema: OptionSchema): string {
  const options = listJobOptions(schema);
  if (options.length === 0) return '  (none)';
  const width = Math.max(...options.map(({ key }) => key.length));
  return options
    .map((option) => {
      const about = [option.description, `${option.allowed}${formatDefault(option)}`];
      return `  ${option.key.padEnd(width)}  ${about.filter((text) => text !== '').join('; ')}`;
    })
    .join('\n');
}

function formatDefault(option: JobOption): string {
  if (option.required) return ' (required)';
  if (option.default === undefined || option.default === null) return '';
  return ` (default ${String(option.default) || JSON.stringify(option.default)})`;
}

function describeIssue(issue: v.BaseIssue<unknown>, known: readonly JobOption[]): string {
  const path = (issue.path ?? []).map(({ key }) => String(key));
  for (let length = path.length; length > 0; length--) {
    const key = path.slice(0, length).join('.');
    const option = findJobOption(known, key);
    if (option === undefined) continue;
    const given = quote(issue.input);
    const reason = issue.type === 'check' ? ` (${issue.message})` : '';
    return `${key}: got ${given}, allowed is ${option.allowed}${reason}.`;
  }
  const key = path.join('.');
  if (issue.expected === 'never') {
    const inside = `${path.slice(0, -1).join('.')}.`.replace(/^\.$/, '');
    const general = inside.replaceAll(/\.\d+\./g, '.N.');
    const names = known
      .filter((option) => option.key.startsWith(general))
      .map((option) => option.key.slice(general.length).split('.')[0] as string);
    return `${key}: there is no such option; there are ${[...new Set(names)].join(', ')}.`;
  }
  return key === '' ? issue.message : `${key}: ${issue.message}.`;
}

function describeProblem({ key, given, allowed }: OptionProblem): string {
  return `${key}: got ${quote(given)}, allowed is ${allowed}.`;
}

function quote(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

function unknownOption(
  job: string,
  assignment: Assignment,
  known: readonly JobOption[],
): UserInputError {
  const list = known.map(({ key, description }) => `  ${key}  ${description}`.trimEnd());
  return new UserInputError(
    `${job} has no option ${assignment.key} (${assignment.typed}). Its options are:\n${list.join('\n')}`,
  );
}

/** Text that doesn't fit stays text, so that the schema's own check names it. */
function coerceAssignment(schema: OptionSchema, { values, whole }: Assignment): unknown {
  const inner = unwrap(schema);
  if (inner.type !== 'array') return coerce(schema, values.at(-1) ?? '');
  const [only = ''] = values;
  return whole || values.length > 1 ? coerceItems(inner, values) : coerceList(inner, only);
}

function coerce(schema: OptionSchema, text: string): unknown {
  const inner = unwrap(schema);
  if (inner.type === 'array') return coerceList(inner, text);
  if (inner !== schema && text === 'null' && acceptsNull(schema)) return null;
  return coerceOne(inner, text);
}

function coerceOne(schema: OptionSchema, text: string): unknown {
  const { options, literal } = parts(schema);
  switch (schema.type) {
    case 'number':
      return text.trim() === '' || Number.isNaN(Number(text)) ? text : Number(text);
    case 'boolean':
      return booleans.get(text.trim().toLowerCase()) ?? text;
    case 'picklist':
    case 'enum':
      return options?.find((option) => String(option) === text) ?? text;
    case 'literal':
      return String(literal) === text ? literal : text;
    case 'union':
    case 'variant':
      return coerceUnion((options ?? []) as readonly OptionSchema[], text);
    case 'string':
      return text;
    default:
      return parseJson(text) ?? text;
  }
}

const booleans = new Map([
  ...['true', 'yes', 'on', '1'].map((word) => [word, true] as const),
  ...['false', 'no', 'off', '0'].map((word) => [word, false] as const),
]);

/** `a,b` or JSON. */
function coerceList(schema: OptionSchema, text: string): unknown {
  if (text.startsWith('[')) return parseJson(text) ?? text;
  return coerceItems(
    schema,
    text.split(',').filter((item) => item !== ''),
  );
}

function coerceItems(schema: OptionSchema, texts: readonly string[]): readonly unknown[] {
  const { item } = parts(schema);
  return texts.map((text) => (item ? coerce(item, text) : text));
}

function coerceUnion(options: readonly OptionSchema[], text: string): unknown {
  for (const option of options) {
    const value = coerce(option, text);
    if (v.safeParse(option, value).success) return value;
  }
  return text;
}

function acceptsNull(schema: OptionSchema): boolean {
  return v.safeParse(schema, null).success;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Sets `a.b` in nested objects. */
function assign(
  values: Record<string, unknown>,
  key: string,
  value: unknown,
  grows: boolean,
): void {
  const path = key.split('.');
  const name = path.pop() as string;
  let at = values;
  for (const part of path) {
    // What a plan has there may be no object at all; then this hides it, and the check has the last word.
    if (typeof at[part] !== 'object' || at[part] === null) at[part] = {};
    at = at[part] as Record<string, unknown>;
  }
  const before = at[name];
  at[name] = grows && Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : value;
}
