import { DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { nuid } from '@nats-io/nats-core';
import { DamagedDataError } from '../../errors.ts';
import type { Bus } from '../bus/bus.ts';
import { natsConnectionOf } from '../bus/nats-bus.ts';
import type { JobEvent } from '../job.ts';
import { ensureStream, type JetStream, openJetStream, repeatUntil } from '../registry/jetstream.ts';
import { encodeToken } from '../wire/address.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';

const STREAM = 'codistill_jobs';
const ROOT = 'codistill_job';
const WHAT = 'the log of jobs';
const TIMEOUT_MS = 30_000;
/** The oldest events of a job go first, then those of the oldest jobs. */
const EVENTS_PER_JOB_MAX = 50_000;
const LOG_BYTES_MAX = 256 << 20;
const EVENT_BYTES_MAX = 64 << 10;
/** Events that wait for the servers; more are dropped, and that is told. */
const WAITING_EVENTS_MAX = 10_000;

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
  read(
    job: string,
    options: { readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<LoggedEvent>;
}

/** @param options.mayWrite is asked before each event; what it refuses is dropped. */
export async function openJobLog(
  bus: Bus,
  namespace: string,
  {
    timeoutMs,
    mayWrite = async () => true,
  }: { readonly timeoutMs: number; readonly mayWrite?: () => Promise<boolean> },
): Promise<JobLog> {
  const jetStream = await openJetStream(natsConnectionOf(bus), timeoutMs);
  const config = {
    name: STREAM,
    subjects: [`${ROOT}.>`],
    description: 'events of the jobs of codistill',
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_msgs_per_subject: EVENTS_PER_JOB_MAX,
    max_bytes: LOG_BYTES_MAX,
    allow_direct: false,
  };
  await ensureStream(jetStream, config, timeoutMs);
  return new StreamedLog(jetStream, `${ROOT}.${encodeToken(namespace)}`, mayWrite);
}

interface WaitingEvent {
  readonly job: string;
  readonly event: JobEvent;
}

class StreamedLog implements JobLog {
  readonly #jetStream: JetStream;
  readonly #root: string;
  readonly #mayWrite: () => Promise<boolean>;
  #waiting: WaitingEvent[] = [];
  #dropped = 0;
  #writing: Promise<void> | undefined;

  constructor(jetStream: JetStream, root: string, mayWrite: () => Promise<boolean>) {
    this.#jetStream = jetStream;
    this.#root = root;
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

  async *read(
    job: string,
    { follow, signal }: { readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncGenerator<LoggedEvent> {
    const filter_subjects = this.#subject(job);
    const consumer = await this.#jetStream.client.consumers.get(STREAM, { filter_subjects });
    const { num_pending: there } = await consumer.info();
    if (there === 0 && !follow) return;
    const messages = await consumer.consume();
    const stop = (): void => messages.stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      for await (const message of messages) {
        yield { at: message.time, event: readEvent(message.data) };
        if (!follow && message.info.pending === 0) return;
        if (signal.aborted) return;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      messages.stop();
    }
  }

  #subject(job: string): string {
    return `${this.#root}.${encodeToken(job)}`;
  }

  /** One after another: what is read later was said later. */
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const { job, event } = this.#waiting.shift()!;
      const bytes = encodeEvent(event);
      const options = { msgID: nuid.next() };
      const { client } = this.#jetStream;
      try {
        await repeatUntil(TIMEOUT_MS, WHAT, async () => {
          if (await this.#mayWrite()) await client.publish(this.#subject(job), bytes, options);
        });
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
}

function encodeEvent(event: JobEvent): Uint8Array {
  // What is no plain data is shown as in the JSON of other events.
  const bytes = encodeFrame(JSON.parse(JSON.stringify(event)));
  if (bytes.length <= EVENT_BYTES_MAX) return bytes;
  const message = `an event of type ${event.type} has ${bytes.length} bytes, too many for the log`;
  return encodeFrame({ type: 'warning', message });
}

function readEvent(bytes: Uint8Array): JobEvent {
  const event = decodeFrame(bytes) as JobEvent | null;
  if (typeof event?.type === 'string') return event;
  throw new DamagedDataError('the log of jobs has an entry that is no event');
}
