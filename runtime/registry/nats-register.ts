import { setTimeout as delay } from 'node:timers/promises';
import { DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { type KV, type KvEntry, Kvm } from '@nats-io/kv';
import { headers, nuid } from '@nats-io/nats-core';
import type { Bus, Subscription } from '../bus/bus.ts';
import { runHandler } from '../bus/bus-status.ts';
import { natsConnectionOf } from '../bus/nats-bus.ts';
import { encodeToken } from '../wire/address.ts';
import {
  ensureStream,
  isConflict,
  type JetStream,
  openJetStream,
  repeatUntil,
} from './jetstream.ts';
import {
  assertRegisterKey,
  belowPrefix,
  decodeRegisterValue,
  encodeRegisterValue,
  isRegisterKey,
  REGISTER_VALUE_BYTES_MAX,
  type Register,
  type RegisterChange,
  type RegisterEntry,
  type RegisterWait,
} from './register.ts';

/** One bucket holds all namespaces: a stream is dear, a key is not. `nats kv` shows it. */
const BUCKET = 'codistill';
const BUCKET_BYTES_MAX = 256 << 20;
/** A deleted key's mark stays so long for watchers that are away, where the server is 2.11 or later. */
const MARK_TTL = '1h';
const HEADERS_BYTES = 4 << 10;
const READS_AT_ONCE = 64;
const WATCH_PAUSE_MS = 500;

/**
 * The register of a namespace in a replicated key-value bucket of the servers that `bus` is connected
 * to. Reads go to the bucket's leader: replicas may be behind an acknowledged write.
 * @throws BusUnavailableError when the server has no JetStream; TypeError for another bus.
 */
export async function openNatsRegister(
  bus: Bus,
  namespace: string,
  { timeoutMs }: RegisterWait,
): Promise<Register> {
  const jetStream = await openJetStream(natsConnectionOf(bus), timeoutMs);
  const version = jetStream.connection.info?.version ?? '';
  const marksExpire = isAtLeast(version, 2, 11);
  await ensureStream(
    jetStream,
    {
      name: `KV_${BUCKET}`,
      subjects: [`$KV.${BUCKET}.>`],
      description: 'names, owners and jobs of codistill',
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      max_msgs_per_subject: 1,
      max_bytes: BUCKET_BYTES_MAX,
      max_msg_size: REGISTER_VALUE_BYTES_MAX + HEADERS_BYTES,
      allow_rollup_hdrs: true,
      allow_direct: false,
      ...(marksExpire && { allow_msg_ttl: true }),
    },
    timeoutMs,
  );
  const bucket = await new Kvm(jetStream.client).open(BUCKET, { allow_direct: false });
  return new NatsRegister(jetStream, bucket, encodeToken(namespace), marksExpire);
}

class NatsRegister implements Register {
  readonly #jetStream: JetStream;
  readonly #bucket: KV;
  readonly #root: string;
  readonly #marksExpire: boolean;
  readonly #watches = new Set<{ unsubscribe(): void }>();

  constructor(jetStream: JetStream, bucket: KV, root: string, marksExpire: boolean) {
    this.#jetStream = jetStream;
    this.#bucket = bucket;
    this.#root = root;
    this.#marksExpire = marksExpire;
  }

  async get(key: string, { timeoutMs }: RegisterWait): Promise<RegisterEntry | undefined> {
    assertRegisterKey(key);
    const stored = await this.#read(key, timeoutMs);
    return stored && isSet(stored) ? this.#toEntry(stored) : undefined;
  }

  async create(key: string, value: unknown, wait: RegisterWait): Promise<number | undefined> {
    assertRegisterKey(key);
    const bytes = encodeRegisterValue(key, value);
    const giveUpAt = performance.now() + wait.timeoutMs;
    const first = await this.#write(key, bytes, 0, wait);
    if (first !== undefined) return first;
    // A deleted key has a mark, which is to be replaced as any other entry.
    const timeoutMs = Math.max(1, giveUpAt - performance.now());
    const stored = await this.#read(key, timeoutMs);
    if (stored === null || isSet(stored)) return undefined;
    return this.#write(key, bytes, stored.revision, { timeoutMs });
  }

  async update(
    key: string,
    value: unknown,
    revision: number,
    wait: RegisterWait,
  ): Promise<number | undefined> {
    assertRegisterKey(key);
    return this.#write(key, encodeRegisterValue(key, value), revision, wait);
  }

  async delete(key: string, revision: number, wait: RegisterWait): Promise<boolean> {
    assertRegisterKey(key);
    return (await this.#write(key, undefined, revision, wait)) !== undefined;
  }

  async list(prefix: string, { timeoutMs }: RegisterWait): Promise<readonly RegisterEntry[]> {
    const key = `${this.#root}.${belowPrefix(prefix)}>`;
    const giveUpAt = performance.now() + timeoutMs;
    const keys = await repeatUntil(timeoutMs, 'the register', async () => {
      const found: string[] = [];
      for await (const full of await this.#bucket.keys(key)) found.push(full);
      return found;
    });
    const entries: RegisterEntry[] = [];
    for (let from = 0; from < keys.length; from += READS_AT_ONCE) {
      const leftMs = Math.max(1, giveUpAt - performance.now());
      const some = keys.slice(from, from + READS_AT_ONCE).map((key) => this.#stripRoot(key));
      const read = await Promise.all(some.map((key) => this.#read(key, leftMs)));
      for (const stored of read) {
        const entry = stored && isSet(stored) ? this.#readableEntry(stored) : undefined;
        if (entry !== undefined) entries.push(entry);
      }
    }
    return entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  async watch(
    prefix: string,
    listener: (change: RegisterChange) => void,
    { timeoutMs }: RegisterWait,
  ): Promise<Subscription> {
    const key = `${this.#root}.${belowPrefix(prefix)}>`;
    const open = () => this.#bucket.watch({ key });
    let changes = await repeatUntil(timeoutMs, 'the register', open);
    let ended = false;
    const subscription = {
      unsubscribe: () => {
        ended = true;
        this.#watches.delete(subscription);
        changes.stop();
      },
    };
    this.#watches.add(subscription);
    const follow = async (): Promise<void> => {
      // What comes again after a watch was made anew is told once.
      let seen = 0;
      while (!ended) {
        for await (const entry of changes) {
          if (ended) return;
          if (entry.revision <= seen) continue;
          seen = entry.revision;
          this.#tell(entry, listener);
        }
        while (!ended) {
          const again = await repeatUntil(timeoutMs, 'the register', open).catch(() => undefined);
          if (again !== undefined) {
            changes = again;
            if (ended) again.stop();
            break;
          }
          await delay(WATCH_PAUSE_MS);
        }
      }
    };
    void follow();
    return subscription;
  }

  async close(): Promise<void> {
    for (const watch of [...this.#watches]) watch.unsubscribe();
  }

  /** A lost acknowledgement is asked for again under the same id, so that nothing is written twice. */
  async #write(
    key: string,
    bytes: Uint8Array | undefined,
    revision: number,
    { timeoutMs }: RegisterWait,
  ): Promise<number | undefined> {
    const subject = `$KV.${BUCKET}.${this.#root}.${key}`;
    const options = {
      msgID: nuid.next(),
      expect: { lastSubjectSequence: revision },
      ...(bytes === undefined && { headers: deletionMark() }),
      ...(bytes === undefined && this.#marksExpire && { ttl: MARK_TTL }),
    };
    try {
      return await repeatUntil(timeoutMs, 'the register', async () => {
        const { seq } = await this.#jetStream.client.publish(subject, bytes, options);
        return seq;
      });
    } catch (error) {
      if (isConflict(error)) return undefined;
      throw error;
    }
  }

  #tell(stored: KvEntry, listener: (change: RegisterChange) => void): void {
    if (isSet(stored)) {
      const entry = this.#readableEntry(stored);
      if (entry !== undefined) runHandler(listener, { type: 'set', ...entry });
    } else {
      const { key, revision } = stored;
      runHandler(listener, { type: 'deleted', key: this.#stripRoot(key), revision });
    }
  }

  #read(key: string, timeoutMs: number): Promise<KvEntry | null> {
    return repeatUntil(timeoutMs, 'the register', () => this.#bucket.get(`${this.#root}.${key}`));
  }

  #readableEntry(stored: KvEntry): RegisterEntry | undefined {
    if (!isRegisterKey(this.#stripRoot(stored.key))) return undefined;
    try {
      return this.#toEntry(stored);
    } catch {
      return undefined;
    }
  }

  /** @throws DamagedDataError */
  #toEntry({ key: full, value, revision }: KvEntry): RegisterEntry {
    const key = this.#stripRoot(full);
    return { key, value: decodeRegisterValue(key, value), revision };
  }

  #stripRoot(key: string): string {
    return key.slice(this.#root.length + 1);
  }
}

function isSet({ operation }: KvEntry): boolean {
  return operation === 'PUT';
}

function deletionMark() {
  const mark = headers();
  mark.set('KV-Operation', 'DEL');
  return mark;
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [haveMajor = 0, haveMinor = 0] = version.split('.').map(Number);
  return haveMajor > major || (haveMajor === major && haveMinor >= minor);
}
