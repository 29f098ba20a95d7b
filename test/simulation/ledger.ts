import {
  type ActorContext,
  type ActorDefinition,
  type CallContext,
  defineActor,
  delay,
  type Handle,
  withCallOptions,
} from '../../runtime/index.ts';
import { type Entry, type Journal, keyOf, type Method } from './journal.ts';

export interface LedgerOptions {
  /** The node id of the owner, or `@name`, which the actor isn't told otherwise. */
  readonly owner: string;
}

/** Keeps what it was told; all that it does is noted in a journal that sees every life of it. */
export class Ledger {
  readonly #context: ActorContext;
  readonly #journal: Journal;
  readonly #incarnation: string;
  readonly #keys = new Set<string>();
  #begun = false;
  #relayed = 0;

  constructor(context: ActorContext, options: LedgerOptions, journal: Journal) {
    this.#context = context;
    this.#journal = journal;
    this.#incarnation = `${context.name}@${options.owner}#${context.epoch}`;
    journal.noteLife(context.name, this.#incarnation);
  }

  /** Each answers with the incarnation that did it. */
  add(entry: Entry): string {
    return this.#note('add', entry);
  }

  async addAndSave(entry: Entry): Promise<string> {
    const incarnation = this.#note('addAndSave', entry);
    await this.#context.saveCheckpoint();
    return incarnation;
  }

  put(entry: Entry): string {
    return this.#note('put', entry);
  }

  async work(entry: Entry, durationMs: number): Promise<string> {
    const incarnation = this.#note('work', entry);
    await delay(this.#context.clock, durationMs);
    return incarnation;
  }

  read(entry: Entry): { readonly incarnation: string; readonly keys: readonly string[] } {
    return { incarnation: this.#note('read', entry), keys: [...this.#keys] };
  }

  /** Answers with the bytes, which may be more than one message carries. */
  carry(
    entry: Entry,
    bytes: Uint8Array,
  ): { readonly incarnation: string; readonly bytes: Uint8Array } {
    return { incarnation: this.#note('carry', entry), bytes };
  }

  /** Answers when the reminder is durable. */
  async remindMe(entry: Entry, delayMs: number): Promise<string> {
    const incarnation = this.#note('remindMe', entry);
    this.#journal.noteReminderAsked(this.#context.name, entry, delayMs);
    await this.#context.reminders.set(keyOf(entry), { delayMs });
    return incarnation;
  }

  remind(name: string): void {
    this.#journal.noteReminder(this.#incarnation, name);
  }

  /** Calls another ledger from its own process, within the time that the caller gives. */
  async relay(entry: Entry, other: Handle<Ledger>, context: CallContext): Promise<string> {
    const incarnation = this.#note('relay', entry);
    this.#relayed += 1;
    const own = { caller: `${this.#incarnation} ${entry.caller}`, number: this.#relayed };
    await withCallOptions(other, { timeoutMs: context.deadlineMs, signal: context.signal }).put(
      own,
    );
    return incarnation;
  }

  /** The numbers from 0, each with the incarnation. */
  async *count(entry: Entry, to: number): AsyncGenerator<readonly [number, string]> {
    this.#note('count', entry);
    for (let number = 0; number < to; number += 1) {
      this.#journal.noteProduced(entry);
      yield [number, this.#incarnation];
    }
  }

  checkpoint(): readonly string[] {
    return [...this.#keys];
  }

  restore(keys: readonly string[]): void {
    for (const key of keys) this.#keys.add(key);
  }

  #note(method: Method, entry: Entry): string {
    if (!this.#begun) this.#journal.noteFirstCall(this.#incarnation, this.#keys);
    this.#begun = true;
    this.#journal.noteRun(this.#incarnation, method, entry);
    this.#keys.add(keyOf(entry));
    return this.#incarnation;
  }
}

export function defineLedger(journal: Journal): ActorDefinition<LedgerOptions, Ledger> {
  return defineActor({
    type: 'simulation/ledger',
    module: import.meta.url,
    methods: {
      add: 'call',
      addAndSave: 'call',
      put: 'idempotent',
      work: 'call',
      carry: 'call',
      relay: 'call',
      remindMe: 'call',
      read: 'idempotent',
      count: 'stream',
    },
    create: (context: ActorContext, options: LedgerOptions) =>
      new Ledger(context, options, journal),
  });
}
