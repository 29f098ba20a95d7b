import * as v from 'valibot';
import { checkGiven, fromUp, named, type OptionSchemas, optional } from '../option-check.ts';

/** What a node has, or what an actor reserves of it. Absent means none. */
export interface Resources {
  readonly cpu?: number;
  readonly gpu?: number;
  readonly memoryBytes?: number;
  /** Whatever else a node has to give, by names of your own: licences, a camera, disk spindles. */
  readonly custom?: Readonly<Record<string, number>>;
}

/** Names of custom resources; more are refused in a message. */
const CUSTOM_MAX = 64;
/** Fractions add up with errors of rounding: ten actors of 0.1 cpu have room in one. */
const TOLERANCE = 1e-9;

const kinds = ['cpu', 'gpu', 'memoryBytes'] as const;

const amount = optional(fromUp(0));
const amounts = {
  cpu: amount,
  gpu: amount,
  memoryBytes: amount,
  custom: optional(named(fromUp(0), 'an object of names with numbers', CUSTOM_MAX)),
} satisfies OptionSchemas & Record<keyof Resources, unknown>;

/** @throws TypeError for an unknown resource, RangeError for an amount that is none; both name it. */
export function checkResources(resources: Resources): void {
  checkGiven(
    'resource',
    amounts,
    resources,
    (name) => `, and any name inside custom, as { custom: { ${name}: 1 } }`,
  );
}

/** What is missing, in words, or undefined when `wanted` fits into `free`. */
export function missingResource(wanted: Resources, free: Resources): string | undefined {
  const available = new Map(amountsOf(free));
  for (const [name, amount] of amountsOf(wanted)) {
    const left = available.get(name) ?? 0;
    if (amount <= left + TOLERANCE) continue;
    const what = name === 'memoryBytes' ? 'bytes of memory' : name;
    return `${left} ${what} free, ${amount} wanted`;
  }
  return undefined;
}

/** `total` less all that is `used`. */
export function freeResources(total: Resources, used: Iterable<Resources>): Resources {
  const left = new Map(amountsOf(total));
  for (const part of used) {
    // Most actors reserve nothing, and there may be thousands.
    if (isEmpty(part)) continue;
    for (const [name, amount] of amountsOf(part)) left.set(name, (left.get(name) ?? 0) - amount);
  }
  const custom = Object.keys(total.custom ?? {}).map((name) => [name, left.get(name)!]);
  return {
    ...Object.fromEntries(kinds.map((kind) => [kind, left.get(kind) ?? 0])),
    ...(custom.length > 0 && { custom: Object.fromEntries(custom) }),
  };
}

function isEmpty(resources: Resources): boolean {
  for (const _name in resources) return false;
  return true;
}

function amountsOf({ custom = {}, ...rest }: Resources): readonly (readonly [string, number])[] {
  return [...Object.entries<number>(rest), ...Object.entries(custom)];
}

export const resourcesSchema: v.GenericSchema<unknown, Resources> = v.object({
  cpu: v.exactOptional(v.number()),
  gpu: v.exactOptional(v.number()),
  memoryBytes: v.exactOptional(v.number()),
  custom: v.exactOptional(v.pipe(v.record(v.string(), v.number()), v.maxEntries(CUSTOM_MAX))),
});
