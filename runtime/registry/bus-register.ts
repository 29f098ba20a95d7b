import { DamagedDataError } from '../../errors.ts';
import type { Subscription } from '../bus/bus.ts';
import { runHandler } from '../bus/bus-status.ts';
import { requestControl, serveControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { repeat } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import type {
  RegisterChangeMessage,
  RegisteredMessage,
  RegisterMessage,
} from '../wire/register-messages.ts';
import { decodeMessage, encodeMessage, type WireMessage } from '../wire/wire.ts';
import {
  assertRegisterKey,
  belowPrefix,
  encodeRegisterValue,
  type Register,
  type RegisterChange,
  type RegisterEntry,
  type RegisterWait,
} from './register.ts';

/** Answers kept, in case a request comes again. */
const ANSWERS_KEPT = 1024;
const WAIT = { timeoutMs: 10_000 };
const RELIST_MS = 5_000;

/** Lets other processes use the register that this one holds, over the bus. */
export async function serveRegister(
  { bus, namespace }: Pick<Endpoint, 'bus' | 'namespace'>,
  register: Register,
): Promise<Subscription> {
  const answers = new Map<string, Promise<WireMessage>>();
  const serving = serveControl(bus, subjects.register(namespace), (message) => {
    if (message.kind !== 'register') return undefined;
    const known = answers.get(message.id);
    if (known !== undefined) return known;
    const answer = carryOut(register, message);
    answers.set(message.id, answer);
    const [oldest] = answers.keys();
    if (answers.size > ANSWERS_KEPT) answers.delete(oldest!);
    return answer;
  });
  const watching = await register.watch(
    '',
    (change) => {
      const message = toMessage(change);
      bus.publish(subjects.registerChanges(namespace), encodeMessage(message));
    },
    WAIT,
  );
  return {
    unsubscribe() {
      serving.unsubscribe();
      watching.unsubscribe();
    },
  };
}

async function carryOut(register: Register, message: RegisterMessage): Promise<RegisteredMessage> {
  const { operation, key, value, revision = 0 } = message;
  const written = (result: number | undefined): RegisteredMessage => {
    return { kind: 'registered', entries: [], ...(result !== undefined && { revision: result }) };
  };
  switch (operation) {
    case 'get': {
      const entry = await register.get(key, WAIT);
      return { kind: 'registered', entries: entry === undefined ? [] : [entry] };
    }
    case 'list':
      return { kind: 'registered', entries: await register.list(key, WAIT) };
    case 'create':
      return written(await register.create(key, value, WAIT));
    case 'update':
      return written(await register.update(key, value, revision, WAIT));
    case 'delete':
      return written((await register.delete(key, revision, WAIT)) ? revision : undefined);
  }
}

function toMessage(change: RegisterChange): RegisterChangeMessage {
  const { key, revision } = change;
  if (change.type === 'deleted') return { kind: 'register-change', key, revision, deleted: true };
  return { kind: 'register-change', key, revision, value: change.value, deleted: false };
}

/** The register that another process of this bus holds and serves. */
export function connectRegister(endpoint: Endpoint): Register {
  return new BusRegister(endpoint);
}

class BusRegister implements Register {
  readonly #endpoint: Endpoint;
  readonly #name: string;
  readonly #watches = new Set<Subscription>();
  #lastId = 0;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    this.#name = endpoint.bus.createInbox();
  }

  async get(key: string, wait: RegisterWait): Promise<RegisterEntry | undefined> {
    assertRegisterKey(key);
    return (await this.#ask({ operation: 'get', key }, wait)).entries[0] as RegisterEntry;
  }

  async create(key: string, value: unknown, wait: RegisterWait): Promise<number | undefined> {
    check(key, value);
    return (await this.#ask({ operation: 'create', key, value }, wait)).revision;
  }

  async update(
    key: string,
    value: unknown,
    revision: number,
    wait: RegisterWait,
  ): Promise<number | undefined> {
    check(key, value);
    return (await this.#ask({ operation: 'update', key, value, revision }, wait)).revision;
  }

  async delete(key: string, revision: number, wait: RegisterWait): Promise<boolean> {
    assertRegisterKey(key);
    const answer = await this.#ask({ operation: 'delete', key, revision }, wait);
    return answer.revision !== undefined;
  }

  async list(prefix: string, wait: RegisterWait): Promise<readonly RegisterEntry[]> {
    belowPrefix(prefix);
    const { entries } = await this.#ask({ operation: 'list', key: prefix }, wait);
    return entries as readonly RegisterEntry[];
  }

  async watch(
    prefix: string,
    listener: (change: RegisterChange) => void,
    wait: RegisterWait,
  ): Promise<Subscription> {
    const { bus, namespace, clock } = this.#endpoint;
    const below = belowPrefix(prefix);
    /** Changes that come before the list are told after it; those that it shows already, never. */
    let early: RegisterChange[] | undefined = [];
    let listed = 0;
    const told = new Map<string, number>();
    const tell = (change: RegisterChange): void => {
      if (change.revision <= Math.max(listed, told.get(change.key) ?? 0)) return;
      told.set(change.key, change.revision);
      runHandler(listener, change);
    };
    const subject = subjects.registerChanges(namespace);
    const subscription = bus.subscribe(subject, ({ data }) => {
      const change = readChange(data);
      if (!change?.key.startsWith(below)) return;
      if (early !== undefined) early.push(change);
      else tell(change);
    });
    const list = async (): Promise<readonly RegisterEntry[]> => {
      const entries = await this.list(prefix, wait);
      return entries.toSorted((a, b) => a.revision - b.revision);
    };
    // A bus may lose the word of a change, and nobody would say it again. A lost deletion stays unsaid.
    const relisting = repeat(clock, RELIST_MS, () => {
      if (early !== undefined) return;
      list().then(
        (entries) => {
          if (!this.#watches.has(watch)) return;
          for (const entry of entries) tell({ type: 'set', ...entry });
        },
        () => {},
      );
    });
    const watch = {
      unsubscribe: () => {
        this.#watches.delete(watch);
        relisting.cancel();
        subscription.unsubscribe();
      },
    };
    this.#watches.add(watch);
    try {
      await bus.flush();
      const entries = await list();
      for (const entry of entries) runHandler(listener, { type: 'set' as const, ...entry });
      listed = entries.at(-1)?.revision ?? 0;
      const missed = early;
      early = undefined;
      for (const change of missed) tell(change);
    } catch (error) {
      watch.unsubscribe();
      throw error;
    }
    return watch;
  }

  async close(): Promise<void> {
    for (const watch of [...this.#watches]) watch.unsubscribe();
  }

  #ask(
    request: Omit<RegisterMessage, 'kind' | 'id'>,
    wait: RegisterWait,
  ): Promise<RegisteredMessage> {
    this.#lastId += 1;
    const id = `${this.#name}.${this.#lastId}`;
    const subject = subjects.register(this.#endpoint.namespace);
    const parcel = { bytes: encodeMessage({ kind: 'register', id, ...request }) };
    return requestControl(this.#endpoint, subject, 'registered', parcel, wait);
  }
}

function check(key: string, value: unknown): void {
  assertRegisterKey(key);
  encodeRegisterValue(key, value);
}

function readChange(data: Uint8Array): RegisterChange | undefined {
  try {
    const message = decodeMessage(data);
    if (message.kind !== 'register-change') return undefined;
    const { key, revision, value, deleted } = message;
    return deleted ? { type: 'deleted', key, revision } : { type: 'set', key, revision, value };
  } catch (error) {
    if (error instanceof DamagedDataError) return undefined;
    throw error;
  }
}
