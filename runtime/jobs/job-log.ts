import { DamagedDataError } from '../../errors.ts';
import type { JobEvent } from '../job.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';
import type { EventStore, ReadOptions } from './event-store.ts';

/** Events that wait for the store; more are dropped, and that is told. */
const WAITING_EVENTS_MAX = 10_000;
/** An event that was given up may arrive after all, before the next one. */
const ATTEMPTS_MAX = 5;

/** An event of a job, and when the servers wrote it down, by their clock. */
export interface LoggedEvent {
  readonly at: Date;
  readonly event: JobEvent;
}

/** The events of jobs in the NATS servers, where they outlive whoever wrote them. */
export interface JobLog {
  /** Doesn't wait; what can't be written, or comes too fast, is counted in a later event. */
  append(job: string, event: JobEvent): void;
  /** Resolves when all that was appended is written, or the servers were away for too long. */
  flush(): Promise<void>;
  /** What is there; with `follow` also what comes, until the signal aborts. */
  read(job: string, options: ReadOptions): AsyncIterable<LoggedEvent>;
}

/** @param mayWrite is asked before each event; what it refuses is dropped. */
export function createJobLog(
  store: EventStore,
  mayWrite: () => Promise<boolean> = async () => true,
): JobLog {
  return new StoredLog(store, mayWrite);
}

interface WaitingEvent {
  readonly job: string;
  readonly event: JobEvent;
}

class StoredLog implements JobLog {
  readonly #store: EventStore;
  readonly #mayWrite: () => Promise<boolean>;
  #waiting: WaitingEvent[] = [];
  #dropped = 0;
  /** Of a job's events, as far as it is known. */
  readonly #last = new Map<string, number>();
  #writing: Promise<void> | undefined;

  constructor(store: EventStore, mayWrite: () => Promise<boolean>) {
    this.#store = store;
    this.#mayWrite = mayWrite;
  }

  append(job: string, event: JobEvent): void {
    if (this.#waiting.length >= WAITING_EVENTS_MAX) this.#dropped += 1;
    else this.#waiting.push({ job, event });
    this.#writing ??= this.#write();
  }

  async flush(): Promise<void> {
    await this.#writing;
  }

  async *read(job: string, options: ReadOptions): AsyncGenerator<LoggedEvent> {
    for await (const { at, bytes } of this.#store.read(job, options)) {
      yield { at, event: readEvent(bytes) };
    }
  }

  /** One after another: what is read later was said later. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const { job, event } = this.#waiting.shift()!;
      const bytes = encodeEvent(event, this.#store.eventBytesMax);
      try {
        await this.#keep(job, bytes);
      } catch {
        this.#dropped += 1;
        continue;
      }
      if (this.#dropped === 0 || this.#waiting.length > 0) continue;
      const message = `${this.#dropped} events could not be written to the log`;
      this.#dropped = 0;
      this.#waiting.push({ job, event: { type: 'warning', message } });
    }
    this.#writing = undefined;
  }

  /**
   * What is on its way when its life ends may arrive in the next one, which has said something then: each event goes
   * behind one that was the last while this life might write, and nowhere else.
   */
  async #keep(job: string, bytes: Uint8Array): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const after = this.#last.get(job) ?? (await this.#store.last(job));
      const number = await this.#store.append(job, bytes, after, this.#mayWrite);
      if (number !== undefined) {
        this.#last.set(job, number);
        return;
      }
      this.#last.delete(job);
      if (!(await this.#mayWrite())) return;
    }
    throw new Error('others write the events of this job');
  }
}

function encodeEvent(event: JobEvent, bytesMax: number): Uint8Array {
  // What is no plain data is shown as in the JSON of other events.
  const bytes = encodeFrame(JSON.parse(JSON.stringify(event)));
  if (bytes.length <= bytesMax) return bytes;
  const message = `an event of type ${event.type} has ${bytes.length} bytes, too many for the log`;
  return encodeFrame({ type: 'warning', message });
}

function readEvent(bytes: Uint8Array): JobEvent {
  const event = decodeFrame(bytes) as JobEvent | null;
  if (typeof event?.type === 'string') return event;
  throw new DamagedDataError('the log of jobs has an entry that is no event');
}
