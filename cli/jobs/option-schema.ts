import * as v from 'valibot';

/** The valibot schema of one option or of a whole job, of which we read the definition. */
export type OptionSchema = v.BaseSchema<unknown, unknown, v.BaseIssue<unknown>>;

/** What we read from valibot's schema objects; each kind of schema has some of these. */
interface SchemaParts {
  readonly type: string;
  readonly expects: string;
  readonly wrapped?: OptionSchema;
  readonly item?: OptionSchema;
  readonly entries?: Readonly<Record<string, OptionSchema>>;
  /** Of a record. */
  readonly value?: OptionSchema;
  readonly options?: readonly unknown[];
  readonly literal?: unknown;
  readonly pipe?: readonly SchemaAction[];
}

interface SchemaAction {
  readonly kind: string;
  readonly type: string;
  readonly requirement?: unknown;
  readonly expects?: string | null;
}

const wrappers = new Set(['optional', 'exact_optional', 'undefinedable', 'nullish', 'nullable']);
const objects = new Set(['object', 'strict_object', 'loose_object']);

/** An option that `--set` can name; those of nested objects have dotted keys, those of records `N` for any key. */
export interface JobOption {
  readonly key: string;
  readonly description: string;
  /** In words: `a whole number from 1 to 64`. */
  readonly allowed: string;
  readonly required: boolean;
  readonly default: unknown;
  readonly schema: OptionSchema;
}

export function listJobOptions(schema: OptionSchema, prefix = ''): readonly JobOption[] {
  const entries = Object.entries(parts(unwrap(schema)).entries ?? {});
  return entries.flatMap(([name, entry]) => {
    const key = prefix + name;
    const { type, value } = parts(unwrap(entry));
    if (objects.has(type)) return listJobOptions(entry, `${key}.`);
    if (type === 'record' && value !== undefined) {
      if (objects.has(parts(unwrap(value)).type)) return listJobOptions(value, `${key}.N.`);
      return [optionOf(`${key}.N`, value, describe(entry))];
    }
    return [optionOf(key, entry, describe(entry))];
  });
}

/** The option with this key, where a number stands for `N`. */
export function findJobOption(options: readonly JobOption[], key: string): JobOption | undefined {
  const general = key.replaceAll(/(?<=\.)\d+(?=\.|$)/g, 'N');
  return options.find((option) => option.key === key || option.key === general);
}

function optionOf(key: string, schema: OptionSchema, description: string): JobOption {
  return {
    key,
    description,
    allowed: describeAllowed(schema),
    required: isRequired(schema) && !key.endsWith('.N'),
    default: defaultOf(schema),
    schema,
  };
}

/** The schema without `optional`, `nullable` and the like around it. */
export function unwrap(schema: OptionSchema): OptionSchema {
  let at = schema;
  while (wrappers.has(at.type)) {
    const { wrapped } = parts(at);
    if (wrapped === undefined) return at;
    at = wrapped;
  }
  return at;
}

export function parts(schema: OptionSchema): SchemaParts {
  return schema as unknown as SchemaParts;
}

/** `a whole number from 1 to 64`, `one of a, b`, `a list of texts`. */
export function describeAllowed(schema: OptionSchema): string {
  const inner = unwrap(schema);
  const { type, options, item, literal, expects } = parts(inner);
  const actions = validationsOf(inner);
  switch (type) {
    case 'number':
      return describeNumber(actions);
    case 'string':
      return ['text', ...actions.map((action) => `${action.expects ?? action.type}`)].join(', ');
    case 'boolean':
      return 'true or false';
    case 'picklist':
    case 'enum':
      return `one of ${(options ?? []).join(', ')}`;
    case 'literal':
      return String(literal);
    case 'array':
      return `a list${item === undefined ? '' : `, each ${describeAllowed(item)}`}`;
    case 'union':
    case 'variant':
      return (options ?? []).map((option) => describeAllowed(option as OptionSchema)).join(', or ');
    default:
      return expects;
  }
}

function describeNumber(actions: readonly SchemaAction[]): string {
  const bound = (type: string) => actions.find((action) => action.type === type)?.requirement;
  const noun = actions.some(({ type }) => type === 'integer' || type === 'safe_integer')
    ? 'a whole number'
    : 'a number';
  const least = bound('min_value');
  const most = bound('max_value');
  const above = bound('gt_value');
  const below = bound('lt_value');
  const multiple = bound('multiple_of');
  const range =
    least !== undefined && most !== undefined
      ? [`from ${least} to ${most}`]
      : [
          ...(least === undefined ? [] : [`of at least ${least}`]),
          ...(most === undefined ? [] : [`of at most ${most}`]),
        ];
  const limits = [
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(below === undefined ? [] : [`below ${below}`]),
    ...(multiple === undefined ? [] : [`a multiple of ${multiple}`]),
  ];
  return [noun, ...range, limits.join(', ')].filter((word) => word !== '').join(' ');
}

function validationsOf(schema: OptionSchema): readonly SchemaAction[] {
  return (parts(schema).pipe ?? []).filter(({ kind }) => kind === 'validation');
}

/** The description may sit outside or inside of `optional(…)`. */
function describe(schema: OptionSchema): string {
  const own = v.getDescription(schema as Parameters<typeof v.getDescription>[0]);
  if (own !== undefined) return own;
  const { wrapped } = parts(schema);
  return wrapped === undefined ? '' : describe(wrapped);
}

function isRequired(schema: OptionSchema): boolean {
  return !wrappers.has(schema.type) || schema.type === 'nullable';
}

function defaultOf(schema: OptionSchema): unknown {
  return wrappers.has(schema.type)
    ? v.getDefault(schema as Parameters<typeof v.getDefault>[0])
    : undefined;
}
