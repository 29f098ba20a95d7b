import * as v from 'valibot';
import { type ActorAddress, addressOf, isHandle } from '../calls/handle.ts';
import {
  checkGiven,
  fields,
  flag,
  isFields,
  labels,
  named,
  type OptionSchemas,
  oneOf,
  optional,
  positive,
  string,
  such,
  text,
  whole,
} from '../option-check.ts';
import { checkResources, type Resources } from '../wire/resources.ts';
import { checkFullName } from './name-scope.ts';
import type { Labels, PlacementRules, PlacementStrategy } from './placement.ts';

export interface SpawnOptions {
  /**
   * Unique in the scope of the system, or in the namespace if that has none, and what others find the
   * actor by; `SCOPE/NAME` is one of another scope, `/NAME` one of none. Default: the last word of the
   * type and a number, with the node's id where other nodes can be.
   */
  readonly name?: string;
  /** If an actor of this name and type lives already, its handle is what spawning gives. */
  readonly getIfExists?: boolean;
  /**
   * `owned` (default): ends with this system. `detached`: outlives it; needs a name. When the node that
   * supervises it dies, another one that has its module starts it again from its last checkpoint. On
   * the memory bus and the local one it lives until the system is closed.
   */
  readonly lifetime?: 'owned' | 'detached';
  /** Default `process`; on the memory bus `inline`, which is all it can. */
  readonly isolation?: 'process' | 'inline';
  /** Which node takes the actor. Default `pack`; a word is short for `{ strategy: word }`. */
  readonly placement?: PlacementStrategy | PlacementRules;
  /**
   * What listings show and can be filtered by, and what placement rules of others name: `{ role: 'replica' }`.
   * At most 64, with values of at most 256 characters.
   */
  readonly labels?: Labels;
  /** What the actor takes of its node's resources, as a reservation; it is not held to it. */
  readonly resources?: Resources;
  /** How often it is restarted within a minute; one death more is final. Default 3. */
  readonly maxRestarts?: number;
  /** Before the first restart; doubles with each within a minute, up to 10 s. Default 100. */
  readonly restartBackoffMs?: number;
  /** Calls that may wait; more are refused. Default 1024. */
  readonly mailboxMessagesMax?: number;
  /**
   * Calls that run at once, of methods that are in no concurrency group. They begin in the order of
   * each caller and end in any. Default 1.
   */
  readonly maxConcurrency?: number;
  /** Priority of the actor's process, -20 (urgent) to 19 (background). */
  readonly niceness?: number;
  /**
   * Added to the environment of the actor's process, which is then never a warm one. Other hosts take only
   * `ACTOR_…` and what they were started with.
   */
  readonly environment?: Readonly<Record<string, string>>;
  /** Goes on from the checkpoint that the store holds under this name, if there is one. */
  readonly resume?: boolean;
}

/** With defaults filled in. */
export interface SpawnPlan extends SpawnOptions {
  readonly name: string;
  readonly lifetime: 'owned' | 'detached';
  readonly isolation: 'process' | 'inline';
  readonly placement: PlacementPlan;
  readonly resources: Resources;
  readonly maxRestarts: number;
  readonly restartBackoffMs: number;
  readonly mailboxMessagesMax: number;
  readonly maxConcurrency: number;
  /**
   * Its process has a system of its own, by whose word others act: a next life begins only when they
   * can't any more.
   */
  readonly vouches?: boolean;
}

export interface PlacementPlan extends Omit<PlacementRules, 'beside'> {
  readonly strategy: PlacementStrategy;
  readonly beside?: ActorAddress;
}

const defaults = {
  lifetime: 'owned',
  resources: {},
  maxRestarts: 3,
  restartBackoffMs: 100,
  mailboxMessagesMax: 1024,
  maxConcurrency: 1,
} as const;

const allowedEnvironment = "strings without NUL, by names without NUL and '='";
const strategies = ['pack', 'spread'] as const;
const LABELS_MAX = 64;

export const spawnOptionSchemas = {
  name: optional(string),
  getIfExists: optional(flag),
  lifetime: optional(oneOf('owned', 'detached')),
  isolation: optional(oneOf('process', 'inline')),
  placement: optional(
    such(
      (placement) => strategies.includes(placement as never) || isFields(placement),
      "'pack', 'spread' or an object of strategy, nodeId, beside, besideLabels, apartFromLabels, " +
        'requiredLabels, preferredLabels',
    ),
  ),
  labels: optional(named(text(0, 256), 'an object of names with strings', LABELS_MAX)),
  resources: optional(fields('an object of cpu, gpu, memoryBytes, custom')),
  maxRestarts: optional(whole(0, 1_000_000)),
  restartBackoffMs: optional(positive(60_000)),
  mailboxMessagesMax: optional(whole(1, 1_000_000)),
  maxConcurrency: optional(whole(1, 10_000)),
  niceness: optional(whole(-20, 19)),
  environment: optional(
    v.pipe(
      v.custom<Record<string, string>>(isFields, `an object of ${allowedEnvironment}`),
      v.record(
        v.pipe(v.string(), v.regex(/^[^=\0]+$/, `of ${allowedEnvironment}`)),
        v.pipe(v.string(allowedEnvironment), v.regex(/^[^\0]*$/, allowedEnvironment)),
      ),
    ),
  ),
  resume: optional(flag),
} satisfies OptionSchemas & Record<keyof SpawnOptions, unknown>;

const ruleSchemas = {
  strategy: optional(oneOf(...strategies)),
  nodeId: optional(string),
  beside: optional(such(isHandle, 'an actor handle')),
  besideLabels: optional(labels),
  apartFromLabels: optional(labels),
  requiredLabels: optional(labels),
  preferredLabels: optional(labels),
} satisfies OptionSchemas & Record<keyof PlacementRules, unknown>;

/** @throws TypeError for an unknown option, RangeError for a value out of range; both name it. */
export function checkSpawnOptions(options: SpawnOptions): void {
  checkGiven('spawn option', spawnOptionSchemas, options, (name) =>
    name === 'namespace' ? "; a namespace is a whole system's: createSystem({ namespace })" : '',
  );
  const { placement, resources } = options;
  if (typeof placement === 'object') checkGiven('placement rule', ruleSchemas, placement);
  if (resources !== undefined) checkResources(resources);
}

/**
 * Of options that were checked each by itself.
 * @throws TypeError for those that exclude each other, RangeError for a name that no actor can have.
 */
export function planSpawn(
  options: SpawnOptions,
  name: string,
  isolation: 'process' | 'inline',
): SpawnPlan {
  const placement = planPlacement(options.placement ?? 'pack');
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const plan: SpawnPlan = {
    isolation,
    ...defaults,
    ...(Object.fromEntries(given) as SpawnOptions),
    placement,
    name,
  };
  checkFullName(name);
  if (plan.lifetime === 'detached' && options.name === undefined) {
    throw new TypeError('a detached actor needs a name: nothing else finds it again');
  }
  if (options.getIfExists && options.name === undefined) {
    throw new TypeError('getIfExists needs a name: nothing else says which actor is meant');
  }
  if (plan.isolation === 'inline' && (plan.environment || plan.niceness !== undefined)) {
    throw new TypeError(
      'environment and niceness belong to a process; an inline actor has none of its own',
    );
  }
  return plan;
}

function planPlacement(placement: PlacementStrategy | PlacementRules): PlacementPlan {
  const rules = typeof placement === 'string' ? { strategy: placement } : placement;
  const { strategy = 'pack', beside, ...rest } = rules;
  return { ...rest, strategy, ...(beside !== undefined && { beside: addressOf(beside) }) };
}
