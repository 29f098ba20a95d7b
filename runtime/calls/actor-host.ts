import { DeadlineError } from '../../errors.ts';
import {
  type ActorContext,
  type ActorDefinition,
  type ActorLifecycle,
  type AnyActorDefinition,
  checkDefinition,
} from '../actor.ts';
import type { Bus, BusMessage, Subscription } from '../bus/bus.ts';
import { delay } from '../clock.ts';
import type { OpenJob } from '../jobs/job-process.ts';
import type { ChildSpawner } from '../nodes/child-spawner.ts';
import type { SpawnOptions } from '../nodes/spawn-options.ts';
import type { ObjectTable } from '../objects/object-table.ts';
import { CallRecorder, nestAround } from '../observe/call-recorder.ts';
import type { ActorFigures } from '../observe/inspection.ts';
import { incarnationOf, subjects } from '../wire/address.ts';
import { decodeFrame } from '../wire/frame.ts';
import type { DrainMessage, StartMessage, StopMessage } from '../wire/life-messages.ts';
import { decodeMessage, type WireMessage } from '../wire/wire.ts';
import { toWireError } from '../wire/wire-error.ts';
import { ActorCheckpoints } from './actor-checkpoints.ts';
import { ActorTimers } from './actor-timers.ts';
import { CallCounters } from './call-counters.ts';
import { CallServer } from './call-server.ts';
import { answerOn } from './control.ts';
import type { Endpoint } from './endpoint.ts';
import { type CallPath, createOwnedHandle, type OwnedHandle, unpackHandles } from './handle.ts';
import { checkOptions } from './input-check.ts';
import { type Lease, leasedBus } from './lease.ts';
import { Mailboxes } from './mailboxes.ts';
import { ActorReminders, splitReminders, withReminders } from './reminders.ts';

const DISPOSE_MS_MAX = 2_000;
const CHILD_STOP_MS = 5_000;
/** An actor that wants to spawn while it may not act waits so long. */
const LEASE_WAIT_MS = 60_000;

export interface ActorHostOptions {
  readonly endpoint: Endpoint;
  /** The way to the actor's own node that needs no server, where the bus is another one. */
  readonly home?: Endpoint;
  /** What the handles that the actor gets call through. */
  readonly path: CallPath;
  readonly objects: ObjectTable;
  readonly definition: AnyActorDefinition;
  readonly start: StartMessage;
  /** From the start message; handles are still plain data. */
  readonly options: unknown;
  /** A frame's bytes, as saved by an incarnation before. */
  readonly state: Uint8Array | undefined;
  readonly openJob?: OpenJob | undefined;
  /** While it has lapsed no call begins and no answer goes out. */
  readonly lease: Lease;
  /** What the actor spawns through. */
  readonly children: ChildSpawner;
}

/** Runs one incarnation of an actor from its creation to its stop. */
export class ActorHost {
  readonly incarnation: string;
  readonly #options: ActorHostOptions;
  readonly #mailboxes: Mailboxes;
  readonly #counters = new CallCounters();
  readonly #startedAt: number;
  readonly #recorder: CallRecorder | undefined;
  readonly #stopping = new AbortController();
  readonly #ended = Promise.withResolvers<Error | undefined>();
  readonly #timers: ActorTimers;
  readonly #reminders: ActorReminders;
  readonly #checkpoints: ActorCheckpoints;
  #instance: ActorLifecycle = {};
  #calls: CallServer | undefined;
  #subscriptions: readonly Subscription[] = [];
  #draining: Promise<void> | undefined;
  /** What releases the references that the actor has: an inline one leaves its process behind. */
  readonly #references = new Set<() => void>();
  readonly #path: CallPath;
  /** Another life will do what comes now. */
  #last = false;
  #stopped: Promise<void> | undefined;

  /**
   * Creates the instance, restores its state and only then lets messages in.
   * @throws whatever `create` or `restore` throws.
   */
  static async start(options: ActorHostOptions): Promise<ActorHost> {
    const host = new ActorHost(options);
    await host.#begin();
    return host;
  }

  private constructor(options: ActorHostOptions) {
    const { owner, name, epoch, mailboxMessagesMax, maxConcurrency = 1 } = options.start;
    this.incarnation = incarnationOf(owner, name, epoch);
    this.#options = options;
    const { path, objects } = options;
    this.#path = {
      keeper: objects.scoped(this.#references),
      call: (...call) => path.call(...call),
      stream: (...call) => path.stream(...call),
      openArgument: (...argument) => path.openArgument(...argument),
      watch: (address, listener) => path.watch(address, listener),
    };
    this.#mailboxes = new Mailboxes({
      messagesMax: mailboxMessagesMax,
      concurrency: maxConcurrency,
      groups: options.definition.concurrencyGroups,
    });
    const { endpoint, start } = options;
    const { clock } = endpoint;
    this.#startedAt = clock.now();
    if (start.recordCalls) this.#recorder = new CallRecorder(endpoint, start);
    this.#timers = new ActorTimers({
      clock,
      mailbox: this.#mailboxes.main,
      lease: options.lease,
      fail: (error) => this.#fail(error),
    });
    this.#reminders = new ActorReminders({
      clock,
      timers: this.#timers,
      remind: (name, payload) => this.#remind(name, payload),
      save: () => this.#checkpoints.save(),
    });
    this.#checkpoints = new ActorCheckpoints({
      endpoint,
      home: options.home,
      start,
      incarnation: this.incarnation,
      signal: this.#stopping.signal,
      state: () => this.#state(),
    });
  }

  get figures(): ActorFigures {
    const uptimeMs = Math.round(this.#options.endpoint.clock.now() - this.#startedAt);
    return { uptimeMs, waiting: this.#mailboxes.waiting, ...this.#counters };
  }

  /** Resolves when the actor was stopped over the bus or is outdated, or with why it failed. */
  get ended(): Promise<Error | undefined> {
    return this.#ended.promise;
  }

  /** Lets the actor finish, then saves its state. @throws DeadlineError when it stays busy. */
  drain(timeoutMs: number): Promise<void> {
    // A request that was sent twice drains once.
    this.#draining ??= this.#drain(timeoutMs).finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  async #drain(timeoutMs: number): Promise<void> {
    const { clock } = this.#options.endpoint;
    const enough = new AbortController();
    const late = delay(clock, timeoutMs, enough.signal).then(
      () => {
        throw new DeadlineError(
          `actor ${this.#options.start.name} was still busy ${timeoutMs} ms after it was asked ` +
            'to drain; its last checkpoint stays valid',
        );
      },
      () => {},
    );
    try {
      await Promise.race([this.#finish(), late]);
    } finally {
      enough.abort();
    }
  }

  /** Ends streams and calls and disposes of the instance, which may take two seconds at most. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #begin(): Promise<void> {
    const { definition, options, state, endpoint, start } = this.#options;
    const path = this.#path;
    const create = definition.create as (context: ActorContext, options: unknown) => unknown;
    const given = unpackHandles(options, path);
    const what = `create of actor type ${start.type}`;
    const checked = definition.options && (await checkOptions(definition.options, given, what));
    const instance = await create(this.#createContext(), definition.options ? checked : given);
    if (typeof instance !== 'object' || instance === null) {
      throw new TypeError(`create of actor type ${start.type} must return an object`);
    }
    this.#instance = instance;
    if (state !== undefined) {
      const saved = splitReminders(unpackHandles(decodeFrame(state), path));
      if (saved.state !== undefined) await this.#instance.restore?.(saved.state as never);
      this.#reminders.restore(saved.reminders);
    }
    const { lease } = this.#options;
    this.#calls = new CallServer({
      endpoint: { ...endpoint, bus: leasedBus(endpoint.bus, lease) },
      lease,
      path,
      incarnation: this.incarnation,
      name: start.name,
      definition,
      instance,
      mailboxes: this.#mailboxes,
      counters: this.#counters,
      around: nestAround(endpoint.tracing?.around(start), this.#recorder?.around),
    });
    const subject = subjects.actor(endpoint.namespace, start.name);
    const { home } = this.#options;
    const buses = home === undefined ? [endpoint.bus] : [endpoint.bus, home.bus];
    this.#subscriptions = buses.map((bus) =>
      bus.subscribe(subject, (message) => this.#receive(message, bus)),
    );
    await Promise.all(buses.map((bus) => bus.flush()));
    this.#timers.begin();
  }

  async #finish(): Promise<void> {
    await this.#instance.drain?.();
    await this.#mailboxes.idle();
    const { checkpoint } = this.#instance;
    if (checkpoint !== undefined || this.#hasReminders) await this.#checkpoints.save();
  }

  async #stop(): Promise<void> {
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    this.#timers.close();
    this.#mailboxes.clear();
    const reason = new Error(`actor ${this.#options.start.name} was stopped`);
    this.#stopping.abort(reason);
    this.#calls?.close(reason);
    this.#recorder?.close();
    const enough = new AbortController();
    const limit = delay(this.#options.endpoint.clock, DISPOSE_MS_MAX, enough.signal);
    try {
      await Promise.race([this.#instance[Symbol.asyncDispose]?.(), limit.catch(() => {})]);
    } finally {
      enough.abort();
      for (const release of this.#references) release();
    }
  }

  #createContext(): ActorContext {
    const { objects } = this.#options;
    const { clock, nodeId } = this.#options.endpoint;
    const { name, type, epoch } = this.#options.start;
    const { signal } = this.#stopping;
    return {
      name,
      type,
      epoch,
      nodeId,
      clock,
      signal,
      saveCheckpoint: () => this.#checkpoints.save(),
      put: (value, options) => objects.put(value, options, this.#references),
      get: (ref, options) => objects.get(ref, options, this.#path),
      setTimeout: (callback, delayMs) => this.#timers.setTimeout(callback, delayMs),
      every: (periodMs, callback) => this.#timers.every(periodMs, callback),
      reminders: this.#reminders,
      spawn: (definition, options, spawnOptions = {}) =>
        this.#spawn(definition, options, spawnOptions),
      openJob: this.#options.openJob,
    };
  }

  async #spawn<Options, Actor>(
    definition: ActorDefinition<Options, Actor>,
    options: Options,
    spawnOptions: SpawnOptions,
  ): Promise<OwnedHandle<Actor>> {
    checkDefinition(definition);
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    await this.#untilActing(signal);
    const { children } = this.#options;
    const { incarnation } = this;
    const spawned = await children.spawn(definition, options, spawnOptions, incarnation);
    const { address, owned } = spawned;
    const stop = (): Promise<void> => children.stop(address, CHILD_STOP_MS);
    return createOwnedHandle<Actor>(address, this.#path, owned ? stop : async () => {});
  }

  /** @throws DeadlineError when the lease has lapsed and isn't renewed; the signal's reason. */
  async #untilActing(signal: AbortSignal): Promise<void> {
    const { lease, endpoint, start } = this.#options;
    if (lease.held) return;
    const enough = new AbortController();
    const late = delay(endpoint.clock, LEASE_WAIT_MS, AbortSignal.any([signal, enough.signal]));
    const failed = late.then(() => {
      throw new DeadlineError(
        `actor ${start.name} may not act: its owner has not been heard for ${LEASE_WAIT_MS} ms`,
      );
    });
    failed.catch(() => {});
    await Promise.race([lease.whenHeld(), failed]).finally(() => enough.abort());
  }

  #remind(name: string, payload: unknown): unknown {
    if (this.#instance.remind !== undefined) return this.#instance.remind(name, payload);
    throw new TypeError(
      `actor type ${this.#options.start.type} has reminders, but no method remind()`,
    );
  }

  /** What fails where no caller waits for it ends this life; the owner decides about the next. */
  #fail(error: unknown): void {
    this.#ended.resolve(error instanceof Error ? error : new Error(String(error)));
  }

  async #state(): Promise<unknown> {
    if (this.#instance.checkpoint === undefined && !this.#hasReminders) {
      throw new TypeError(`actor type ${this.#options.start.type} has no method checkpoint()`);
    }
    return withReminders(await this.#instance.checkpoint?.(), this.#reminders.list());
  }

  /** Now or in the store, where the last one may have to be taken out. */
  get #hasReminders(): boolean {
    return this.#instance.remind !== undefined;
  }

  #receive(busMessage: BusMessage, bus: Bus): void {
    let message: WireMessage;
    try {
      message = decodeMessage(busMessage.data);
    } catch {
      // No message of this protocol; its sender learns that by its deadline.
      return;
    }
    if (message.kind === 'ping') {
      const pong = { kind: 'pong', owner: this.#options.start.owner } as const;
      answerOn(bus, busMessage.replySubject, pong);
    } else if ('to' in message) {
      if (message.to !== this.incarnation) this.#noteOther(message.to);
      else if (message.kind === 'drain' || message.kind === 'stop') {
        // Whoever may call an actor reaches it on this subject too.
        if (message.secret !== this.#options.start.secret) return;
        void this.#control(message, (answer) => answerOn(bus, busMessage.replySubject, answer));
      } else if (message.kind !== 'call' || !this.#last) {
        this.#counters.receivedBytes += busMessage.data.length;
        this.#calls?.receive(message);
      }
    }
  }

  /** A message to a later epoch of this very actor: the owner has replaced this incarnation. */
  #noteOther(to: string): void {
    const { owner, name, epoch } = this.#options.start;
    const prefix = incarnationOf(owner, name, 0).slice(0, -1);
    if (!to.startsWith(prefix) || !(Number(to.slice(prefix.length)) > epoch)) return;
    void this.stop().finally(() => this.#ended.resolve(undefined));
  }

  async #control(
    message: DrainMessage | StopMessage,
    respond: (answer: WireMessage) => void,
  ): Promise<void> {
    let answer: WireMessage = { kind: 'done' };
    try {
      if (message.kind === 'drain' && message.last) this.#last = true;
      await (message.kind === 'drain' ? this.drain(message.timeoutMs) : this.stop());
    } catch (error) {
      answer = { kind: 'failed', error: toWireError(error) };
    }
    respond(answer);
    if (message.kind === 'stop') this.#ended.resolve(undefined);
  }
}
