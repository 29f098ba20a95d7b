import type { TimerCallback } from './calls/actor-timers.ts';
import type { OwnedHandle, WithoutContext } from './calls/handle.ts';
import type { Reminders } from './calls/reminders.ts';
import type { Clock, ClockTimer } from './clock.ts';
import type { OpenJob } from './jobs/job-process.ts';
import type { SpawnOptions } from './nodes/spawn-options.ts';
import type { ObjectRef } from './objects/object-ref.ts';
import type { ObjectOptions } from './objects/object-table.ts';
import type { StandardSchemaV1 } from './standard-schema.ts';

/**
 * How a method may be called. `call`: at most once. `idempotent`: sent again when the actor dies
 * with the call in flight. `stream`: an async generator, read with credit.
 */
export type MethodKind = 'call' | 'idempotent' | 'stream';

/** What an actor instance may have besides its methods; none of these can be called from outside. */
export interface ActorLifecycle {
  /**
   * The state to go on from after a restart: plain data, typed arrays and handles, which are handles
   * again in the next life. Object references can't be in it: nobody would hold their objects meanwhile.
   */
  checkpoint?(): unknown;
  /** Runs before the first message, with what `checkpoint` last returned. */
  restore?(state: never): void | Promise<void>;
  /** Asks the actor to finish its work in hand; a checkpoint and a stop follow. */
  drain?(): void | Promise<void>;
  /** A reminder is due. It runs in its turn among the calls, at least once for each. */
  remind?(name: string, payload: unknown): void | Promise<void>;
  [Symbol.asyncDispose]?(): PromiseLike<void>;
}

/** What the runtime tells a method about the call that it serves. */
export interface CallContext {
  /** Aborts when the caller gives up or its deadline passes. */
  readonly signal: AbortSignal;
  /** Milliseconds that the caller still waits, as of the moment when the method began. */
  readonly deadlineMs: number;
}

/** What the runtime gives an actor for life. */
export interface ActorContext {
  readonly name: string;
  readonly type: string;
  /** 1 for the first life, one more for each restart. */
  readonly epoch: number;
  readonly nodeId: string;
  /** Aborts when the actor is stopped. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /**
   * Calls `actor.checkpoint()` and resolves when the owner's store has made the result durable.
   * @throws the store's error, or DeadlineError when the owner doesn't confirm within five minutes.
   */
  saveCheckpoint(): Promise<void>;
  /** As `System.put`; the reference is released when the actor ends. */
  put<Value>(value: Value, options?: ObjectOptions): Promise<ObjectRef<Value>>;
  /** As `System.get`. */
  get<Value>(ref: ObjectRef<Value>, options?: ObjectOptions): Promise<Value>;
  /**
   * Runs `callback` once, `delayMs` from now, in its turn among the calls. What it throws ends this
   * life of the actor. Cancelled when that ends. @throws RangeError beyond 1,024 timers
   */
  setTimeout(callback: TimerCallback, delayMs: number): ClockTimer;
  /** The same, again and again; a period is left out while the one before still waits or runs. */
  every(periodMs: number, callback: TimerCallback): ClockTimer;
  /** Timers that outlive this life, kept in the checkpoint; the actor needs a method `remind`. */
  readonly reminders: Reminders;
  /**
   * Starts an actor that this one owns: it ends when this life does, and is supervised by the node that
   * this one lives on. Its module is among those of the job or system.
   * @throws what `System.spawn` throws, UnknownActorTypeError for another module.
   */
  spawn<Options, Actor>(
    definition: ActorDefinition<Options, Actor>,
    options: Options,
    spawnOptions?: SpawnOptions,
  ): Promise<OwnedHandle<Actor>>;
  /** What the controller of a job runs it with; only in a process of its own on a NATS bus. */
  readonly openJob?: OpenJob | undefined;
}

type LifecycleKey = keyof ActorLifecycle;

/** The methods of `Actor` that may be declared. */
export type CallableKey<Actor> = Exclude<
  {
    // biome-ignore lint/suspicious/noExplicitAny: any function type has to match here
    [Key in keyof Actor]: Actor[Key] extends (...args: any[]) => unknown ? Key : never;
  }[keyof Actor],
  LifecycleKey | symbol
>;

/** `stream` for what returns an AsyncIterable, `call` or `idempotent` for all else. */
// biome-ignore lint/suspicious/noExplicitAny: with never[] a generic method's result would be never
export type MethodKindOf<Method> = Method extends (...args: any[]) => infer Result
  ? [Result] extends [never]
    ? 'call' | 'idempotent'
    : Result extends AsyncIterable<unknown>
      ? 'stream'
      : 'call' | 'idempotent'
  : never;

export type MethodKinds<Actor> = {
  readonly [Key in CallableKey<Actor>]?: MethodKindOf<Actor[Key]>;
};

/** How a method is declared: its kind alone, or with more. */
export type MethodDeclarations<Actor> = {
  readonly [Key in CallableKey<Actor>]?: MethodKindOf<Actor[Key]> | MethodDeclaration<Actor[Key]>;
};

export interface MethodDeclaration<Method> {
  readonly kind: MethodKindOf<Method>;
  /** One of the actor's `concurrencyGroups`. Streams run beside all groups and belong to none. */
  readonly group?: string;
  /**
   * One schema for each argument, of any Standard Schema library. What doesn't fit is answered by
   * InvalidInputError before it takes a place in the mailbox; the method gets what the schemas return.
   */
  readonly input?: InputSchemas<Method>;
}

/** Schemas whose input is what callers give and whose output is what the method takes: one type. */
type InputSchemas<Method> = Method extends (...args: infer Parameters) => unknown
  ? SchemasOf<Required<WithoutContext<Parameters>>>
  : never;

type SchemasOf<Arguments extends readonly unknown[]> = {
  readonly [Index in keyof Arguments]: StandardSchemaV1<Arguments[Index]>;
};

/** What is declared of a method besides its kind. */
export interface MethodDetails {
  readonly group?: string;
  readonly input?: readonly StandardSchemaV1[];
}

/** What this process has declared, by module and type. */
const declared = new Map<string, Map<string, AnyActorDefinition>>();

const definitionMark: unique symbol = Symbol.for('codistill.actor-definition');

export interface ActorDefinition<Options, Actor> {
  readonly [definitionMark]: true;
  readonly type: string;
  /** URL of the module that exports this definition; child processes import it. */
  readonly module: string;
  readonly methods: MethodKinds<Actor>;
  readonly details: { readonly [method: string]: MethodDetails | undefined };
  /** How many calls of each group may run at once. */
  readonly concurrencyGroups: Readonly<Record<string, number>>;
  /** Checks the options before anything is started, and makes of them what `create` gets. */
  readonly options?: StandardSchemaV1;
  create(context: ActorContext, options: Options): Actor | Promise<Actor>;
}

/** A definition whose options and instance are not known to the compiler. */
export type AnyActorDefinition = ActorDefinition<never, object>;

/**
 * Declares an actor type. Export the result from `module`: a child process finds it there by `type`.
 * Only the methods listed in `methods` can be called from outside. A method that takes a
 * `CallContext` takes it last, and the parameters before it have no default values.
 *
 * Methods run one at a time, unless the actor is spawned with `maxConcurrency`. Those of a group of
 * `concurrencyGroups` have a mailbox and a limit of their own: within a group the calls of one caller
 * begin in the order made; between groups, and in what order calls of one group end, nothing holds.
 * @throws TypeError when type, module or a method's declaration is not usable.
 */
export function defineActor<Options, Actor extends object, Input = Options>(declaration: {
  readonly type: string;
  readonly module: string;
  readonly methods: NoInfer<MethodDeclarations<Actor>>;
  readonly concurrencyGroups?: Readonly<Record<string, number>>;
  /** A schema of any Standard Schema library: spawn takes its input, `create` gets its output. */
  readonly options?: StandardSchemaV1<Input, Options>;
  create(context: ActorContext, options: Options): Actor | Promise<Actor>;
}): ActorDefinition<Input, Actor> {
  if (!/^[\w./-]{1,128}$/.test(declaration.type)) {
    throw new TypeError(
      `an actor's type is 1 to 128 letters, digits and ./_-, got "${declaration.type}"`,
    );
  }
  if (!URL.canParse(declaration.module)) {
    throw new TypeError(
      `the module of actor type ${declaration.type} must be a URL (import.meta.url), ` +
        `got "${declaration.module}"`,
    );
  }
  const { concurrencyGroups = {} } = declaration;
  checkGroups(declaration.type, concurrencyGroups);
  const methods: Record<string, MethodKind> = {};
  const details: Record<string, MethodDetails> = {};
  for (const [method, declared] of Object.entries<unknown>(declaration.methods)) {
    const { kind, ...more } = readMethod(declaration.type, method, declared, concurrencyGroups);
    methods[method] = kind;
    details[method] = more;
  }
  const { type, module, options } = declaration;
  // What `spawn` takes is what `create` takes, once the schema has made one of the other.
  const create = declaration.create as unknown as ActorDefinition<Input, Actor>['create'];
  const definition: ActorDefinition<Input, Actor> = {
    [definitionMark]: true,
    type,
    module,
    methods: methods as MethodKinds<Actor>,
    details,
    concurrencyGroups,
    ...(options && { options }),
    create,
  };
  const ofModule = declared.get(module) ?? new Map<string, AnyActorDefinition>();
  declared.set(module, ofModule.set(type, definition as unknown as AnyActorDefinition));
  return definition;
}

/** The definitions that a module has declared so far in this process, exported or not. */
export function declaredIn(module: string): readonly AnyActorDefinition[] {
  return [...(declared.get(module)?.values() ?? [])];
}

const CONCURRENCY_MAX = 10_000;

function checkGroups(type: string, groups: Readonly<Record<string, number>>): void {
  for (const [group, limit] of Object.entries(groups)) {
    if (Number.isInteger(limit) && limit >= 1 && limit <= CONCURRENCY_MAX) continue;
    throw new TypeError(
      `concurrency group ${group} of actor type ${type} must have a limit from 1 to ` +
        `${CONCURRENCY_MAX}, got ${limit}`,
    );
  }
}

function readMethod(
  type: string,
  method: string,
  declared: unknown,
  groups: Readonly<Record<string, number>>,
): MethodDetails & { readonly kind: MethodKind } {
  if (method === 'then') throw new TypeError('a method "then" would make handles awaitable');
  const details = typeof declared === 'string' ? { kind: declared } : (declared as object);
  const { kind, group, input } = details as { kind?: unknown } & MethodDetails;
  if (kind !== 'call' && kind !== 'idempotent' && kind !== 'stream') {
    throw new TypeError(
      `method ${method} of actor type ${type} must be declared "call", ` +
        `"idempotent" or "stream", got ${JSON.stringify(kind)}`,
    );
  }
  if (group !== undefined && (kind === 'stream' || !Object.hasOwn(groups, group))) {
    const known = Object.keys(groups).join(', ') || 'none';
    throw new TypeError(
      `method ${method} of actor type ${type} can't be in group ${group}: a group is one of ` +
        `concurrencyGroups (${known}), and not for streams`,
    );
  }
  if (input !== undefined && !(Array.isArray(input) && input.every(isSchema))) {
    throw new TypeError(
      `the input of method ${method} of actor type ${type} must be a list of Standard Schemas, ` +
        'one for each argument',
    );
  }
  return { kind, ...(group !== undefined && { group }), ...(input !== undefined && { input }) };
}

function isSchema(value: unknown): boolean {
  return (value as Partial<StandardSchemaV1> | undefined)?.['~standard']?.version === 1;
}

/** Whether an export of a module is an actor definition. */
export function isActorDefinition(value: unknown): value is AnyActorDefinition {
  return typeof value === 'object' && value !== null && definitionMark in value;
}

/** @throws TypeError for what is no actor definition. */
export function checkDefinition(value: unknown): void {
  if (isActorDefinition(value)) return;
  const given = value instanceof Object ? 'something else' : String(value);
  throw new TypeError(`an actor's definition must be what defineActor returns; got ${given}`);
}
