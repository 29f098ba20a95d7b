import { exitCodeOfJob } from '../../cli/jobs/job-exit-code.ts';
import type { JobRecord, LoggedEvent } from '../../runtime/index.ts';
import type { Journal } from './journal.ts';

/** How a run of a job ended, as it knows itself. */
export interface Outcome {
  readonly state: JobRecord['state'];
  readonly code?: string;
  readonly exitCode: number;
}

export const outcomes = {
  finishes: { state: 'finished', exitCode: 0 },
  breaks: { state: 'failed', exitCode: 1 },
  refuses: { state: 'failed', code: 'DAMAGED_DATA', exitCode: 65 },
  stops: { state: 'stopped', exitCode: 130 },
} as const satisfies Record<string, Outcome>;

interface Run {
  /** How many events it has told. */
  told: number;
  /** Undefined while it runs, and for ever when its process died. */
  outcome?: Outcome;
  toldAtEnd?: number;
}

/** Whoever appends to the log tries for 30 s before it gives an event up. */
const GIVEN_UP_MS = 28_000;

/** Sees all runs of one submitted job, those of cut off and dead controllers too. */
export class JobJournal {
  readonly id: string;
  readonly #journal: Journal;
  readonly #runs: Run[] = [];

  constructor(id: string, journal: Journal) {
    this.id = id;
    this.#journal = journal;
  }

  get runs(): number {
    return this.#runs.length;
  }

  /** A life of the controller runs the job. @returns the number of this run, from 1 */
  begin(resumed: boolean): number {
    if (!resumed && this.#runs.length > 0) this.#violation('began anew after an earlier run');
    this.#runs.push({ told: 0 });
    return this.#runs.length;
  }

  /** @returns what it tells next, from 1 */
  nextTold(run: number): number {
    const known = this.#runs[run - 1]!;
    known.told += 1;
    return known.told;
  }

  noteOutcome(run: number, outcome: Outcome): void {
    const known = this.#runs[run - 1]!;
    known.outcome = outcome;
    known.toldAtEnd = known.told;
  }

  /** The job is over, as its record and its log say. */
  check(record: JobRecord, log: readonly LoggedEvent[]): void {
    this.#checkRecord(record);
    this.#checkLog(log);
  }

  #checkRecord({ state, error, ...record }: JobRecord): void {
    const exitCode = exitCodeOfJob({ state, ...(error && { error }) });
    const ends = this.#runs.flatMap(({ outcome }) => outcome ?? []);
    // One that doesn't heed its signal is stopped all the same.
    if (record.stopAsked) ends.push(outcomes.stops);
    const fits = ends.some((end) => end.state === state && end.code === error?.code);
    if (!fits) this.#violation(`is ${state} (${error?.message}), which no run of it ended as`);
    if (fits && !ends.some((end) => end.state === state && end.exitCode === exitCode)) {
      this.#violation(`is ${state} with exit code ${exitCode}`);
    }
  }

  /** Events of each run follow each other, those of one run after those of the one before. */
  #checkLog(log: readonly LoggedEvent[]): void {
    const over = new Set<number>();
    let last = { run: 0, told: 0, atMs: 0 };
    let lives = 0;
    let livesAtLast = 0;
    for (const { at, event } of log) {
      if (event.type === 'run') lives += 1;
      const { run, told } = event;
      if (typeof run !== 'number' || typeof told !== 'number') continue;
      const atMs = at.getTime();
      if (run !== last.run) {
        over.add(last.run);
        if (over.has(run)) this.#violation(`has two runs that act: ${last.run} and ${run}`);
        last = { run, told: 0, atMs };
      }
      if (told <= last.told) this.#violation(`logged ${told} of run ${run} after ${last.told}`);
      if (told > last.told + 1 && atMs - last.atMs < GIVEN_UP_MS) {
        this.#violation(`logged ${told} of run ${run} after ${last.told} and nothing between`);
      }
      last = { run, told, atMs };
      livesAtLast = lives;
    }
    // A life that was to stop before it ran has said how the job is: the one before may have died as it ended.
    if (lives > this.runs && lives > livesAtLast) return;
    const lost = (this.#runs.at(-1)?.toldAtEnd ?? 0) - (last.run === this.runs ? last.told : 0);
    if (lost > 0) this.#violation(`ended, and its log lacks the last ${lost} of its events`);
  }

  #violation(text: string): void {
    this.#journal.violation(`job ${this.id} ${text}`);
  }
}
