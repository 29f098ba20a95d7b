import { type ActorAddress, addressOf } from '../calls/handle.ts';
import { checkResources, type Resources } from '../wire/resources.ts';
import { checkFullName } from './name-scope.ts';
import type { PlacementRules, PlacementStrategy } from './placement.ts';

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

const optionNames: readonly (keyof SpawnOptions)[] = [
  'name',
  'getIfExists',
  'lifetime',
  'isolation',
  'placement',
  'resources',
  'maxRestarts',
  'restartBackoffMs',
  'mailboxMessagesMax',
  'maxConcurrency',
  'niceness',
  'environment',
  'resume',
];

/** @throws TypeError for an unknown option, RangeError for a value out of range; both name it. */
export function planSpawn(
  options: SpawnOptions,
  name: string,
  isolation: 'process' | 'inline',
): SpawnPlan {
  checkNames('spawn option', options, optionNames);
  const placement = planPlacement(options.placement ?? 'pack');
  const plan: SpawnPlan = { isolation, ...defaults, ...options, placement, name };
  if (plan.isolation !== 'process' && plan.isolation !== 'inline') {
    throw new TypeError(`isolation must be process or inline, got ${String(plan.isolation)}`);
  }
  checkResources(plan.resources);
  const { maxRestarts, restartBackoffMs, mailboxMessagesMax, niceness } = plan;
  checkInteger('maxRestarts', maxRestarts, 0, 1_000_000);
  checkInteger('mailboxMessagesMax', mailboxMessagesMax, 1, 1_000_000);
  checkInteger('maxConcurrency', plan.maxConcurrency, 1, 10_000);
  if (niceness !== undefined) checkInteger('niceness', niceness, -20, 19);
  if (!(restartBackoffMs > 0 && restartBackoffMs <= 60_000)) {
    throw new RangeError(`restartBackoffMs must be over 0, at most 60000, got ${restartBackoffMs}`);
  }
  checkFullName(name);
  if (plan.lifetime !== 'owned' && plan.lifetime !== 'detached') {
    throw new TypeError(`lifetime must be owned or detached, got ${String(plan.lifetime)}`);
  }
  if (plan.lifetime === 'detached' && options.name === undefined) {
    throw new TypeError('a detached actor needs a name: nothing else finds it again');
  }
  if (options.getIfExists && options.name === undefined) {
    throw new TypeError('getIfExists needs a name: nothing else says which actor is meant');
  }
  if (plan.isolation === 'inline' && (plan.environment || niceness !== undefined)) {
    throw new TypeError(
      'environment and niceness belong to a process; an inline actor has none of its own',
    );
  }
  return plan;
}

const ruleNames: readonly (keyof PlacementRules)[] = [
  'strategy',
  'nodeId',
  'beside',
  'requiredLabels',
  'preferredLabels',
];

function planPlacement(placement: PlacementStrategy | PlacementRules): PlacementPlan {
  const rules = typeof placement === 'string' ? { strategy: placement } : placement;
  checkNames('placement rule', rules, ruleNames);
  const { strategy = 'pack', beside, ...rest } = rules;
  if (strategy !== 'pack' && strategy !== 'spread') {
    throw new TypeError(
      `placement must be 'pack', 'spread' or an object of ${ruleNames.join(', ')}; ` +
        `got ${JSON.stringify(strategy)}`,
    );
  }
  return { ...rest, strategy, ...(beside !== undefined && { beside: addressOf(beside) }) };
}

function checkNames(what: string, options: object, names: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (names.includes(key)) continue;
    throw new TypeError(`there is no ${what} ${key}; valid are: ${names.join(', ')}`);
  }
}

function checkInteger(option: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(`${option} must be an integer from ${min} to ${max}, got ${value}`);
}
