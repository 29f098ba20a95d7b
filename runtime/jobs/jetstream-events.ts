import { DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { nuid } from '@nats-io/nats-core';
import type { Bus } from '../bus/bus.ts';
import { natsConnectionOf } from '../bus/nats-bus.ts';
import {
  ensureStream,
  isConflict,
  type JetStream,
  openJetStream,
  repeatUntil,
} from '../registry/jetstream.ts';
import type { RegisterWait } from '../registry/register.ts';
import { encodeToken } from '../wire/address.ts';
import type { EventStore, ReadOptions, StoredEvent } from './event-store.ts';

const STREAM = 'codistill_jobs';
const ROOT = 'codistill_job';
const WHAT = 'the log of jobs';
const TIMEOUT_MS = 30_000;
/** The oldest events of a job go first, then those of the oldest jobs. */
const EVENTS_PER_JOB_MAX = 50_000;
const LOG_BYTES_MAX = 256 << 20;
const EVENT_BYTES_MAX = 64 << 10;
/** The server sends a sign of life at every half of it; without two of them the consumer is opened anew. */
const PULL_MS = 4_000;

/** Events of a namespace's jobs in a replicated stream of the servers that `bus` is connected to. */
export async function openJetStreamEvents(
  bus: Bus,
  namespace: string,
  { timeoutMs }: RegisterWait,
): Promise<EventStore> {
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
  const subjectOf = (job: string): string =>
    `${ROOT}.${encodeToken(namespace)}.${encodeToken(job)}`;
  return {
    eventBytesMax: EVENT_BYTES_MAX,
    async last(job) {
      const query = { last_by_subj: subjectOf(job) };
      const found = await repeatUntil(TIMEOUT_MS, WHAT, () =>
        jetStream.manager.streams.getMessage(STREAM, query),
      );
      return found?.seq ?? 0;
    },
    async append(job, bytes, after, mayWrite) {
      const options = { msgID: nuid.next(), expect: { lastSubjectSequence: after } };
      let isOver = false;
      const write = async (): Promise<number | undefined> => {
        // Who was refused for long must not come behind what was said later.
        if (!(await mayWrite()) || isOver) return undefined;
        return (await jetStream.client.publish(subjectOf(job), bytes, options)).seq;
      };
      try {
        return await repeatUntil(TIMEOUT_MS, WHAT, write);
      } catch (error) {
        if (isConflict(error)) return undefined;
        throw error;
      } finally {
        isOver = true;
      }
    },
    read: (job, options) => readSubject(jetStream, subjectOf(job), options),
  };
}

async function* readSubject(
  { client }: JetStream,
  subject: string,
  { follow, signal }: ReadOptions,
): AsyncGenerator<StoredEvent> {
  const consumer = await client.consumers.get(STREAM, { filter_subjects: subject });
  const { num_pending: there } = await consumer.info();
  if (there === 0 && !follow) return;
  const messages = await consumer.consume({ expires: PULL_MS });
  const stop = (): void => messages.stop();
  signal.addEventListener('abort', stop, { once: true });
  try {
    for await (const message of messages) {
      yield { at: message.time, bytes: message.data };
      if (!follow && message.info.pending === 0) return;
      if (signal.aborted) return;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    messages.stop();
  }
}
