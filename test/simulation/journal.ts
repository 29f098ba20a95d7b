/** One call as its caller numbers it: each caller counts its calls to one actor from 1. */
export interface Entry {
  readonly caller: string;
  readonly number: number;
}

export type Method =
  | 'add'
  | 'addAndSave'
  | 'put'
  | 'work'
  | 'carry'
  | 'relay'
  | 'read'
  | 'count'
  | 'remindMe';

/** At most once, in all lives together. */
const onceMethods: ReadonlySet<Method> = new Set([
  'add',
  'addAndSave',
  'work',
  'carry',
  'relay',
  'remindMe',
]);
/** Clocks of hosts are that much faster than time, at most. */
const RATE_MAX = 1.02;

interface AskedReminder {
  readonly actor: string;
  readonly setAt: number;
  readonly delayMs: number;
  /** The caller was told that it is durable. */
  acknowledged: boolean;
  times: number;
}

interface Life {
  readonly actor: string;
  /** How often each call ran. */
  readonly runs: Map<string, number>;
  readonly lastNumbers: Map<string, number>;
  /** Calls that its state has to hold from the beginning. */
  readonly expected: readonly string[];
}

/**
 * Sees everything that actors do and callers get, in all processes of a simulation at once, and
 * notes what must not be.
 */
export class Journal {
  readonly violations: string[] = [];
  readonly #now: () => number;
  readonly #lives = new Map<string, Life>();
  /** Of each name the latest incarnation. */
  readonly #latest = new Map<string, string>();
  readonly #runs = new Map<string, number>();
  /** Calls acknowledged after their state was saved, by actor. */
  readonly #saved = new Map<string, Set<string>>();
  /** The latest epoch that a caller accepted an answer of, by caller and incarnation's owner. */
  readonly #acceptedEpochs = new Map<string, number>();

  /** By the call that asked for it. */
  readonly #reminders = new Map<string, AskedReminder>();
  /** What each stream brought, what was taken of it and how many items may be ahead. */
  readonly #streams = new Map<string, { produced: number; taken: number; ahead: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  violation(text: string): void {
    this.violations.push(`at ${this.#now().toFixed(3)} ms: ${text}`);
  }

  /** An actor is created; its state may be restored before its first call. */
  noteLife(actor: string, incarnation: string): void {
    if (this.#lives.has(incarnation)) this.violation(`${incarnation} lives twice`);
    const expected = [...(this.#saved.get(actor) ?? [])];
    this.#lives.set(incarnation, { actor, runs: new Map(), lastNumbers: new Map(), expected });
    const latest = this.#latest.get(actor);
    // A start that was held up makes a life that was replaced before it began.
    if (latest === undefined || rankOf(incarnation) > rankOf(latest)) {
      this.#latest.set(actor, incarnation);
    }
  }

  /** Its first call comes: what was saved before it was created must be in its state. */
  noteFirstCall(incarnation: string, restored: ReadonlySet<string>): void {
    for (const key of this.#lives.get(incarnation)!.expected) {
      if (restored.has(key)) continue;
      this.violation(`${incarnation} began without ${key}, which was saved and acknowledged`);
    }
  }

  noteRun(incarnation: string, method: Method, entry: Entry): void {
    const life = this.#lives.get(incarnation)!;
    const key = keyOf(entry);
    this.#noteAct(incarnation, `${method} ${key}`);
    const inLife = (life.runs.get(key) ?? 0) + 1;
    life.runs.set(key, inLife);
    if (inLife > 1) this.violation(`${method} ${key} ran ${inLife} times in ${incarnation}`);
    const overall = (this.#runs.get(key) ?? 0) + 1;
    this.#runs.set(key, overall);
    if (onceMethods.has(method) && overall > 1) {
      this.violation(`${method} ${key}, which is no idempotent method, ran ${overall} times`);
    }
    // Streams begin beside the mailbox, so they keep no order with calls.
    if (method === 'count') return;
    const last = life.lastNumbers.get(entry.caller) ?? 0;
    if (entry.number <= last) {
      this.violation(`${incarnation} ran call ${entry.number} of ${entry.caller} after ${last}`);
    }
    life.lastNumbers.set(entry.caller, entry.number);
  }

  /** Only the latest life of a name may do anything. */
  #noteAct(incarnation: string, what: string): void {
    const latest = this.#latest.get(this.#lives.get(incarnation)!.actor);
    if (latest === incarnation) return;
    this.violation(`${incarnation} began ${what} although ${latest} had been created`);
  }

  noteReminderAsked(actor: string, entry: Entry, delayMs: number): void {
    const asked = { actor, setAt: this.#now(), delayMs, acknowledged: false, times: 0 };
    this.#reminders.set(keyOf(entry), asked);
  }

  noteReminder(incarnation: string, key: string): void {
    this.#noteAct(incarnation, `reminder ${key}`);
    const reminder = this.#reminders.get(key)!;
    reminder.times += 1;
    const afterMs = this.#now() - reminder.setAt;
    if (afterMs >= reminder.delayMs / RATE_MAX - 1e-6) return;
    this.violation(`reminder ${key} came after ${afterMs} ms instead of ${reminder.delayMs}`);
  }

  /** So many of an actor's own may wait in its mailbox beside the calls. */
  remindersAsked(actor: string): number {
    return [...this.#reminders.values()].filter((asked) => asked.actor === actor).length;
  }

  /** Nothing has been wrong for long enough. */
  checkReminders(): void {
    for (const [key, { acknowledged, times }] of this.#reminders) {
      if (acknowledged && times === 0) this.violation(`reminder ${key} never came`);
    }
  }

  /** What an actor says that it knows, when nothing is wrong any more. */
  checkState(actor: string, keys: readonly string[]): void {
    const known = new Set(keys);
    for (const key of this.#saved.get(actor) ?? []) {
      if (!known.has(key)) this.violation(`${actor} lost ${key}, which was saved and acknowledged`);
    }
  }

  noteStream(entry: Entry, ahead: number): void {
    this.#streams.set(keyOf(entry), { produced: 0, taken: 0, ahead });
  }

  noteProduced(entry: Entry): void {
    const stream = this.#streams.get(keyOf(entry))!;
    stream.produced += 1;
    if (stream.produced <= stream.taken + stream.ahead) return;
    const { produced, taken, ahead } = stream;
    this.violation(`stream ${keyOf(entry)} produced ${produced} for ${taken} taken + ${ahead}`);
  }

  noteTaken(entry: Entry): void {
    this.#streams.get(keyOf(entry))!.taken += 1;
  }

  /** A caller got an answer, which says which incarnation made it. */
  noteAnswer(actor: string, incarnation: string, method: Method, entry: Entry): void {
    const key = keyOf(entry);
    if (!this.#lives.get(incarnation)?.runs.has(key)) {
      this.violation(`${method} ${key} was answered by ${incarnation}, which never ran it`);
    }
    if (method === 'remindMe') this.#reminders.get(key)!.acknowledged = true;
    if (method === 'addAndSave' || method === 'remindMe') {
      const saved = this.#saved.get(actor) ?? new Set();
      saved.add(key);
      this.#saved.set(actor, saved);
    }
    // Items of a stream may have come long before they are taken.
    if (method === 'count') return;
    const [owned = '', epoch] = incarnation.split('#');
    const accepted = `${entry.caller} ${owned}`;
    const before = this.#acceptedEpochs.get(accepted) ?? 0;
    if (Number(epoch) < before) {
      this.violation(
        `${entry.caller} took an answer of ${incarnation} after one of epoch ${before}`,
      );
    }
    this.#acceptedEpochs.set(accepted, Number(epoch));
  }
}

/** Later lives of the owner come after all of its earlier ones, and in each the epochs count up. */
function rankOf(incarnation: string): number {
  const [, ownerLife = 1] = /-life(\d+)#/.exec(incarnation) ?? [];
  return Number(ownerLife) * 1e6 + Number(incarnation.split('#')[1]);
}

export function keyOf({ caller, number }: Entry): string {
  return `${caller}:${number}`;
}
