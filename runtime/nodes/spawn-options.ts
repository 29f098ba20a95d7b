import type { Resources } from '../wire/wire.ts';

export interface SpawnOptions {
  /** Unique in the namespace. Default: the last word of the type and a number. */
  readonly name?: string;
  /** Default `process`; on the memory bus `inline`, which is all it can. */
  readonly isolation?: 'process' | 'inline';
  /** The node that has to take the actor. */
  readonly nodeId?: string;
  /** `pack` (default) prefers this node, `spread` the one with fewest actors of this system. */
  readonly placement?: 'spread' | 'pack';
  /** What the actor takes of its node's resources, as a reservation. */
  readonly resources?: Resources;
  /** How often it is restarted within a minute; one death more is final. Default 3. */
  readonly maxRestarts?: number;
  /** Before the first restart; doubles with each within a minute, up to 10 s. Default 100. */
  readonly restartBackoffMs?: number;
  /** Calls that may wait; more are refused. Default 1024. */
  readonly mailboxMessagesMax?: number;
  /** Priority of the actor's process, -20 (urgent) to 19 (background). */
  readonly niceness?: number;
  /** Added to the environment of the actor's process, which is then never a warm one. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Goes on from the checkpoint that the store holds under this name, if there is one. */
  readonly resume?: boolean;
}

/** With defaults filled in. */
export interface SpawnPlan extends SpawnOptions {
  readonly name: string;
  readonly isolation: 'process' | 'inline';
  readonly placement: 'spread' | 'pack';
  readonly resources: Resources;
  readonly maxRestarts: number;
  readonly restartBackoffMs: number;
  readonly mailboxMessagesMax: number;
}

const defaults = {
  placement: 'pack',
  resources: {},
  maxRestarts: 3,
  restartBackoffMs: 100,
  mailboxMessagesMax: 1024,
} as const;

const optionNames: readonly (keyof SpawnOptions)[] = [
  'name',
  'isolation',
  'nodeId',
  'placement',
  'resources',
  'maxRestarts',
  'restartBackoffMs',
  'mailboxMessagesMax',
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
  for (const key of Object.keys(options)) {
    if (!optionNames.includes(key as keyof SpawnOptions)) {
      throw new TypeError(`there is no spawn option ${key}; valid are: ${optionNames.join(', ')}`);
    }
  }
  const plan: SpawnPlan = { isolation, ...defaults, ...options, name };
  const { maxRestarts, restartBackoffMs, mailboxMessagesMax, niceness } = plan;
  checkInteger('maxRestarts', maxRestarts, 0, 1_000_000);
  checkInteger('mailboxMessagesMax', mailboxMessagesMax, 1, 1_000_000);
  if (niceness !== undefined) checkInteger('niceness', niceness, -20, 19);
  if (!(restartBackoffMs > 0 && restartBackoffMs <= 60_000)) {
    throw new RangeError(`restartBackoffMs must be over 0, at most 60000, got ${restartBackoffMs}`);
  }
  if (name.length === 0 || name.length > 128) {
    throw new RangeError(`an actor's name must have 1 to 128 characters, got ${name.length}`);
  }
  if (plan.isolation === 'inline' && (plan.environment || niceness !== undefined)) {
    throw new TypeError(
      'environment and niceness belong to a process; an inline actor has none of its own',
    );
  }
  return plan;
}

function checkInteger(option: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new RangeError(`${option} must be an integer from ${min} to ${max}, got ${value}`);
}
