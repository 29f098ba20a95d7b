import { CodistillError } from '../../errors.ts';
import { type Handle, type Random, type Simulation, withCallOptions } from '../../runtime/index.ts';
import type { Entry, Journal } from './journal.ts';
import type { Ledger } from './ledger.ts';
import type { Station } from './station.ts';

/** Timers are late by some milliseconds in every scenario. */
const LATE_MS_MAX = 10;
const REMINDER_MS_MAX = 15_000;
/** What a caller may be told under faults; anything else is a defect. */
const expectedCodes: ReadonlySet<string> = new Set([
  'DEADLINE',
  'ACTOR_DIED',
  'MAILBOX_FULL',
  // A call that saves in a life that was replaced meanwhile, or whose owner is gone.
  'DAMAGED_DATA',
  'NO_RESPONDER',
]);

const methods = [
  'add',
  'add',
  'addAndSave',
  'addAndSave',
  'put',
  'work',
  'read',
  'carry',
  'relay',
  'remindMe',
] as const;

export interface Tally {
  made: number;
  answered: number;
  readonly failed: Map<string, number>;
}

export interface CallOrder {
  readonly station: Station;
  readonly actor: string;
  readonly handle: Handle<Ledger>;
  readonly random: Random;
}

/** Makes calls as users would, and checks of each that it settles in time and with what it may. */
export class Calls {
  readonly tally: Tally = { made: 0, answered: 0, failed: new Map() };
  readonly #simulation: Simulation;
  readonly #journal: Journal;
  readonly #open = new Set<OpenWait>();

  constructor(simulation: Simulation, journal: Journal) {
    this.#simulation = simulation;
    this.#journal = journal;
  }

  /** Waits that should have ended by now, on hosts that live. */
  checkOverdue(): void {
    for (const wait of this.#open) this.#checkTime(wait, 'has not settled');
  }

  async perform({ station, actor, handle, random }: CallOrder): Promise<void> {
    const entry = station.nextEntry(actor);
    const timeoutMs = random.pick([50, 300, 1_000, 5_000, 15_000]);
    const controller = random.chance(0.1) ? new AbortController() : undefined;
    const options = { timeoutMs, ...(controller && { signal: controller.signal }) };
    const caller = withCallOptions(handle, options);
    if (controller !== undefined) {
      const reason = new Error('the scenario changed its mind');
      this.#simulation.after(random.between(0, timeoutMs), () => controller.abort(reason));
    }
    this.tally.made += 1;
    try {
      if (random.chance(0.15)) await this.#stream(station, actor, caller, entry, timeoutMs, random);
      else await this.#call(station, actor, caller, entry, timeoutMs, random);
      this.tally.answered += 1;
    } catch (error) {
      this.#noteFailure(error, controller?.signal, station, entry);
    }
  }

  /** A call whose answer says that it will never be forgotten. */
  async save({ station, actor, handle, random }: CallOrder): Promise<void> {
    const entry = station.nextEntry(actor);
    const timeoutMs = random.pick([1_000, 5_000, 15_000]);
    const result = withCallOptions(handle, { timeoutMs }).addAndSave(entry);
    this.tally.made += 1;
    try {
      const incarnation = await this.within(station, timeoutMs, `save of ${actor}`, result);
      this.#journal.noteAnswer(actor, incarnation, 'addAndSave', entry);
      this.tally.answered += 1;
    } catch (error) {
      this.#noteFailure(error, undefined, station, entry);
    }
  }

  /** A call that must succeed, since nothing is wrong any more. */
  async read(station: Station, actor: string, handle: Handle<Ledger>, timeoutMs = 20_000) {
    const entry = station.nextEntry(actor);
    const result = withCallOptions(handle, { timeoutMs }).read(entry);
    const { incarnation, keys } = await this.within(station, timeoutMs, 'last read', result);
    this.#journal.noteAnswer(actor, incarnation, 'read', entry);
    this.#journal.checkState(actor, keys);
    return keys;
  }

  async #call(
    station: Station,
    actor: string,
    handle: Handle<Ledger>,
    entry: Entry,
    timeoutMs: number,
    random: Random,
  ): Promise<void> {
    const method = random.pick(methods);
    const start = (): Promise<string> => {
      switch (method) {
        case 'work':
          return handle.work(entry, random.between(0, 400));
        case 'read':
          return handle.read(entry).then(({ incarnation }) => incarnation);
        case 'remindMe':
          return handle.remindMe(entry, random.between(0, REMINDER_MS_MAX));
        case 'carry':
          return this.#carry(handle, entry, random);
        case 'relay': {
          // Itself would be a deadlock, which only its deadline ends.
          const others = [...station.ledgers].filter(([name]) => name !== actor);
          const [, other = handle] = others.length > 0 ? random.pick(others) : [];
          return other === handle ? handle.put(entry) : handle.relay(entry, other);
        }
        default:
          return handle[method](entry);
      }
    };
    const incarnation = await this.within(station, timeoutMs, `${method} of ${actor}`, start());
    this.#journal.noteAnswer(actor, incarnation, method, entry);
  }

  async #carry(handle: Handle<Ledger>, entry: Entry, random: Random): Promise<string> {
    const sent = new Uint8Array(random.integer(0, 30_000)).fill(entry.number);
    const { incarnation, bytes } = await handle.carry(entry, sent);
    if (Buffer.compare(bytes, sent) !== 0) this.#journal.violation('bytes came back as others');
    return incarnation;
  }

  async #stream(
    station: Station,
    actor: string,
    handle: Handle<Ledger>,
    entry: Entry,
    timeoutMs: number,
    random: Random,
  ): Promise<void> {
    const streamItemsMax = random.integer(1, 8);
    const [items, wanted] = [random.integer(0, 40), random.integer(0, 60)];
    this.#journal.noteStream(entry, streamItemsMax);
    const reader = withCallOptions(handle, { streamItemsMax }).count(entry, items);
    const iterator = reader[Symbol.asyncIterator]();
    for (let index = 0; index < wanted; index += 1) {
      const next = iterator.next();
      const result = await this.within(station, timeoutMs, `stream of ${actor}`, next);
      if (result.done) {
        if (index !== items) this.#journal.violation(`a stream ended after ${index} of ${items}`);
        return;
      }
      const [number, incarnation] = result.value;
      this.#journal.noteTaken(entry);
      this.#journal.noteAnswer(actor, incarnation, 'count', entry);
      if (number !== index) this.#journal.violation(`a stream brought ${number} as item ${index}`);
      if (random.chance(0.2)) await station.sleep(random.between(1, 100));
    }
    await iterator.return?.();
  }

  /** Hands on how `work` settles, and notes if that is later than `timeoutMs` allows. */
  async within<Result>(
    station: Station,
    timeoutMs: number,
    what: string,
    work: Promise<Result>,
  ): Promise<Result> {
    const { nowMs } = this.#simulation;
    const pausedBefore = station.pausedMs();
    const wait: OpenWait = { station, life: station.life, what, timeoutMs, nowMs, pausedBefore };
    this.#open.add(wait);
    try {
      return await work;
    } finally {
      this.#open.delete(wait);
      this.#checkTime(wait, 'settled');
    }
  }

  #checkTime({ station, life, what, timeoutMs, nowMs, pausedBefore }: OpenWait, how: string): void {
    if (!station.host.alive || station.life !== life) return;
    const waitedMs = this.#simulation.nowMs - nowMs - (station.pausedMs() - pausedBefore);
    if (waitedMs <= timeoutMs / station.rate + LATE_MS_MAX) return;
    this.#journal.violation(
      `${what}, called by ${station.host.name}, ${how} after ${waitedMs.toFixed(1)} ms ` +
        `with a deadline of ${timeoutMs} ms`,
    );
  }

  #noteFailure(
    error: unknown,
    signal: AbortSignal | undefined,
    station: Station,
    entry: Entry,
  ): void {
    const aborted = signal?.aborted === true && error === signal.reason;
    const code = error instanceof CodistillError ? error.code : 'none';
    const kind = aborted ? 'aborted' : code;
    this.tally.failed.set(kind, (this.tally.failed.get(kind) ?? 0) + 1);
    if (aborted || expectedCodes.has(code)) return;
    if (code === 'BUS_CLOSED' && (station.leaving || !station.host.alive)) return;
    this.#journal.violation(`a call of ${entry.caller} failed unexpectedly: ${error}`);
  }
}

interface OpenWait {
  readonly station: Station;
  readonly life: number;
  readonly what: string;
  readonly timeoutMs: number;
  readonly nowMs: number;
  readonly pausedBefore: number;
}
