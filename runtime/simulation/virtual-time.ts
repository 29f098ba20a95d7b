import { nextTick } from 'node:process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ClockTimer } from '../clock.ts';

/** After so many events real sockets and timers of the process get their turn. */
const EVENTS_PER_TURN = 5_000;

/**
 * What a simulated process's events hang on: they are held back while it is paused and never happen
 * once it has ended.
 */
export class Lifeline {
  #state: 'running' | 'paused' | 'ended' = 'running';
  #held: (() => void)[] = [];

  get ended(): boolean {
    return this.#state === 'ended';
  }

  get paused(): boolean {
    return this.#state === 'paused';
  }

  /** Runs the event, or keeps it, or drops it. */
  run(event: () => void): void {
    if (this.#state === 'running') event();
    else if (this.#state === 'paused') this.#held.push(event);
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused';
  }

  /** Hands back what was held, in order, to be run one by one. */
  resume(): readonly (() => void)[] {
    if (this.#state !== 'paused') return [];
    this.#state = 'running';
    return this.#held.splice(0);
  }

  end(): void {
    this.#state = 'ended';
    this.#held = [];
  }
}

interface ScheduledEvent {
  readonly at: number;
  /** Of two events of one moment the one scheduled first happens first. */
  readonly number: number;
  readonly lifeline: Lifeline | undefined;
  /** Undefined once cancelled. */
  run: (() => void) | undefined;
}

export type RunOutcome = 'done' | 'late' | 'idle';

/** Time that moves from event to event, and only while it is run. */
export class VirtualTime {
  #nowMs = 0;
  #lastNumber = 0;
  #running = false;
  #eventsRun = 0;
  /** A binary heap: the earliest event is the first. */
  readonly #heap: ScheduledEvent[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  get running(): boolean {
    return this.#running;
  }

  get eventsRun(): number {
    return this.#eventsRun;
  }

  /** @param delayMs 0 or more, in virtual time. */
  schedule(delayMs: number, run: () => void, lifeline?: Lifeline): ClockTimer {
    return this.scheduleAt(this.#nowMs + Math.max(0, delayMs), run, lifeline);
  }

  scheduleAt(at: number, run: () => void, lifeline?: Lifeline): ClockTimer {
    this.#lastNumber += 1;
    const event: ScheduledEvent = { at, number: this.#lastNumber, lifeline, run };
    this.#push(event);
    return {
      cancel: () => {
        event.run = undefined;
      },
    };
  }

  /** Lets a paused process go on with what came meanwhile. */
  resume(lifeline: Lifeline): void {
    for (const event of lifeline.resume()) this.schedule(0, event, lifeline);
  }

  /**
   * Runs event after event, each with all that follows from it at once, until `done` says so, the
   * next event is later than `until`, or there is none.
   */
  async run(done: () => boolean, until: number): Promise<RunOutcome> {
    if (this.#running) throw new Error('the simulation is running already; await that run first');
    this.#running = true;
    try {
      // What the caller queued before may queue more behind the first pass.
      await microtasksRun();
      for (;;) {
        await microtasksRun();
        if (done()) return 'done';
        const event = this.#heap[0];
        if (event === undefined) return 'idle';
        if (event.at > until) {
          this.#nowMs = Math.max(this.#nowMs, until);
          return 'late';
        }
        this.#pop();
        const { run, lifeline, at } = event;
        if (run === undefined || lifeline?.ended) continue;
        this.#nowMs = Math.max(this.#nowMs, at);
        this.#eventsRun += 1;
        if (this.#eventsRun % EVENTS_PER_TURN === 0) await nextTurn();
        if (lifeline === undefined) run();
        else lifeline.run(run);
      }
    } finally {
      this.#running = false;
    }
  }

  #push(event: ScheduledEvent): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(event);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const length = heap.length;
    if (length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= length) break;
      if (child + 1 < length && before(heap[child + 1]!, heap[child]!)) child += 1;
      if (!before(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function before(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.number < b.number);
}

/** A tick that is asked for inside a microtask comes when no microtask is left: far cheaper than a timer. */
function microtasksRun(): Promise<void> {
  return new Promise((resolve) => nextTick(resolve));
}
