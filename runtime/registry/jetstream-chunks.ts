import { DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { nuid } from '@nats-io/nats-core';
import { DamagedDataError } from '../../errors.ts';
import type { Bus } from '../bus/bus.ts';
import { natsConnectionOf } from '../bus/nats-bus.ts';
import { encodeToken } from '../wire/address.ts';
import { ensureStream, openJetStream, repeatUntil } from './jetstream.ts';
import type { RegisterWait } from './register.ts';
import type { ChunkStore } from './replicated-checkpoints.ts';

const STREAM = 'codistill_checkpoints';
const ROOT = 'codistill_checkpoint';
const CHUNK_BYTES = 512 << 10;
const WHAT = 'the store of checkpoints';
const TIMEOUT_MS = 30_000;

/** Chunks of a namespace in a replicated stream of the servers that `bus` is connected to. */
export async function openJetStreamChunks(
  bus: Bus,
  namespace: string,
  { timeoutMs }: RegisterWait,
): Promise<ChunkStore> {
  const jetStream = await openJetStream(natsConnectionOf(bus), timeoutMs);
  const { client, manager } = jetStream;
  await ensureStream(
    jetStream,
    {
      name: STREAM,
      subjects: [`${ROOT}.>`],
      description: 'states of detached actors of codistill',
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_msgs_per_subject: 1,
      allow_direct: false,
    },
    timeoutMs,
  );
  const root = `${ROOT}.${encodeToken(namespace)}`;
  return {
    chunkBytes: Math.min(CHUNK_BYTES, bus.payloadBytesMax),
    async put(path, bytes) {
      const options = { msgID: nuid.next() };
      await repeatUntil(TIMEOUT_MS, WHAT, () => client.publish(`${root}.${path}`, bytes, options));
    },
    async get(path) {
      const last_by_subj = `${root}.${path}`;
      const message = await repeatUntil(TIMEOUT_MS, WHAT, () =>
        manager.streams.getMessage(STREAM, { last_by_subj }),
      );
      if (message === null) throw new DamagedDataError(`${path} is not in ${WHAT}`);
      return message.data;
    },
    async remove(path) {
      const purge = (filter: string) =>
        repeatUntil(TIMEOUT_MS, WHAT, () => manager.streams.purge(STREAM, { filter }));
      await purge(`${root}.${path}.>`);
    },
  };
}
