import { ActorDiedError, type DeathCause, MailboxFullError } from '../../errors.ts';
import { addressOf } from '../calls/handle.ts';
import { type ActorWatch, watch } from '../calls/watch.ts';
import {
  callback,
  checkGiven,
  flag,
  type OptionSchemas,
  optional,
  whole,
} from '../option-check.ts';

export interface ActorPoolOptions<AnyHandle extends object> {
  /** Tasks that one actor has in hand at once. Default 1. */
  readonly tasksPerActor?: number;
  /** Tasks that may wait for an actor; more are refused. Default 1024. */
  readonly waitingMax?: number;
  /** Makes an actor in the place of one that is dead for good. Without it the pool shrinks. */
  readonly replace?: () => Promise<AnyHandle>;
  /** Default 16. */
  readonly replacementsMax?: number;
}

export interface MapOptions {
  /** Results in the order of their inputs (default), or as they come. */
  readonly ordered?: boolean;
}

interface Member<AnyHandle extends object> {
  readonly actor: AnyHandle;
  readonly watch: ActorWatch;
  running: number;
}

const poolSchemas = {
  tasksPerActor: optional(whole(1, 1_000_000)),
  waitingMax: optional(whole(1, 1_000_000)),
  replace: optional(callback),
  replacementsMax: optional(whole(0, 1_000_000)),
} satisfies OptionSchemas & Record<keyof ActorPoolOptions<object>, unknown>;

const mapSchemas = { ordered: optional(flag) } satisfies OptionSchemas &
  Record<keyof MapOptions, unknown>;

type Task<AnyHandle extends object> = (actor: AnyHandle) => Promise<void>;

/**
 * Deals tasks out to actors of one type, each to one that has least in hand. A task whose actor dies
 * fails with that actor's cause of death; the dead are replaced, and when nobody is left, all fails.
 * Dispose of a pool when done; its actors are not stopped by that.
 */
export class ActorPool<AnyHandle extends object> implements AsyncDisposable {
  readonly #options: Required<Omit<ActorPoolOptions<AnyHandle>, 'replace'>> &
    Pick<ActorPoolOptions<AnyHandle>, 'replace'>;
  readonly #members = new Set<Member<AnyHandle>>();
  #waiting: { readonly run: Task<AnyHandle>; readonly reject: (error: Error) => void }[] = [];
  #replacing = 0;
  #replaced = 0;
  #failure: Error = new Error('the pool was given no actor');
  #closed = false;

  /** @throws TypeError or RangeError for an option that can't be used. */
  constructor(actors: readonly AnyHandle[], options: ActorPoolOptions<AnyHandle> = {}) {
    checkGiven('pool option', poolSchemas, options);
    const { tasksPerActor = 1, waitingMax = 1024, replace, replacementsMax = 16 } = options;
    this.#options = { tasksPerActor, waitingMax, replacementsMax, ...(replace && { replace }) };
    for (const actor of actors) this.#add(actor);
  }

  /** Actors that live. */
  get size(): number {
    return this.#members.size;
  }

  /**
   * Runs `task` with an actor that has room, as soon as one has.
   * @throws MailboxFullError when too many wait, ActorDiedError when no actor is left.
   */
  submit<Result>(task: (actor: AnyHandle) => Promise<Result>): Promise<Result> {
    if (this.#exhausted) return Promise.reject(this.#failure);
    const { waitingMax } = this.#options;
    if (this.#waiting.length >= waitingMax) {
      return Promise.reject(
        new MailboxFullError(`${waitingMax} tasks wait for an actor of the pool; await some first`),
      );
    }
    return new Promise((resolve, reject) => {
      const run = (actor: AnyHandle): Promise<void> => task(actor).then(resolve, reject);
      this.#waiting.push({ run, reject });
      this.#deal();
    });
  }

  /**
   * The results of `task` for all inputs. No more inputs are taken than twice what the actors can have
   * in hand; leaving early takes no more. The first failure is thrown.
   */
  async *map<Input, Result>(
    inputs: Iterable<Input> | AsyncIterable<Input>,
    task: (actor: AnyHandle, input: Input) => Promise<Result>,
    options: MapOptions = {},
  ): AsyncGenerator<Result, void, undefined> {
    checkGiven('map option', mapSchemas, options);
    const { ordered = true } = options;
    const flying: Promise<{ readonly index: number; readonly result: Result }>[] = [];
    const indices: number[] = [];
    let taken = 0;
    const land = async (): Promise<Result> => {
      const { index, result } = await (ordered ? flying[0]! : Promise.race(flying));
      const position = indices.indexOf(index);
      flying.splice(position, 1);
      indices.splice(position, 1);
      return result;
    };
    for await (const input of inputs) {
      const index = taken;
      taken += 1;
      const flight = this.submit((actor) => task(actor, input)).then((result) => ({
        index,
        result,
      }));
      // The first failure is thrown; those behind it are not awaited any more.
      flight.catch(() => {});
      flying.push(flight);
      indices.push(index);
      const { tasksPerActor, waitingMax } = this.#options;
      const room = Math.min(2 * tasksPerActor * Math.max(1, this.size), waitingMax);
      while (flying.length >= room) yield await land();
    }
    while (flying.length > 0) yield await land();
  }

  /** Tasks that wait are refused; those in hand go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const { watch } of this.#members) await watch.return?.();
    this.#members.clear();
    this.#refuse(new Error('the pool was closed'));
  }

  get #exhausted(): boolean {
    return this.#closed || (this.#members.size === 0 && this.#replacing === 0);
  }

  #add(actor: AnyHandle): void {
    const member: Member<AnyHandle> = { actor, watch: watch(actor), running: 0 };
    this.#members.add(member);
    member.watch.ended.then(
      (cause) => this.#lose(member, cause),
      () => this.#members.delete(member),
    );
  }

  #deal(): void {
    const { tasksPerActor } = this.#options;
    while (this.#waiting.length > 0) {
      let idlest: Member<AnyHandle> | undefined;
      for (const member of this.#members) {
        if (member.running < (idlest?.running ?? tasksPerActor)) idlest = member;
      }
      if (idlest === undefined) return;
      const member = idlest;
      member.running += 1;
      const { run } = this.#waiting.shift()!;
      void run(member.actor).finally(() => {
        member.running -= 1;
        this.#deal();
      });
    }
  }

  #lose(member: Member<AnyHandle>, cause: DeathCause): void {
    if (!this.#members.delete(member)) return;
    const { name } = addressOf(member.actor);
    const text = `no actor of the pool is left; the last one, ${name}, died: ${cause.message}`;
    this.#failure = new ActorDiedError(text, name, cause);
    void this.#replace();
  }

  async #replace(): Promise<void> {
    const { replace, replacementsMax } = this.#options;
    if (replace !== undefined && this.#replaced < replacementsMax) {
      this.#replaced += 1;
      this.#replacing += 1;
      try {
        const actor = await replace();
        if (!this.#closed) this.#add(actor);
      } catch (error) {
        this.#failure = new Error('an actor of the pool could not be replaced', { cause: error });
      } finally {
        this.#replacing -= 1;
      }
    }
    if (this.#exhausted) this.#refuse(this.#failure);
    else this.#deal();
  }

  #refuse(error: Error): void {
    this.#failure = error;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(error);
  }
}
