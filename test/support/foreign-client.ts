/**
 * A caller that knows of Codistill only what ARCHITECTURE says under "Subjects and wire format": plain
 * MessagePack and a NATS client, as a program in another language would have them.
 */
import {
  type ConnectionOptions,
  connect,
  createInbox,
  type NatsConnection,
} from '@nats-io/transport-node';
import { pack, unpack } from 'msgpackr';

interface Fields {
  readonly [name: string]: unknown;
}

interface Message extends Fields {
  readonly kind: string;
}

export interface ForeignClient {
  call(method: string, ...args: readonly unknown[]): Promise<unknown>;
  stream(method: string, ...args: readonly unknown[]): AsyncGenerator<unknown>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 20_000;
const CREDIT = 4;

export async function openForeignClient(
  options: ConnectionOptions,
  namespace: string,
  name: string,
): Promise<ForeignClient> {
  const nats = await connect(options);
  const to = await locate(nats, namespace, name);
  const from = createInbox(options.inboxPrefix);
  const inbox = nats.subscribe(from)[Symbol.asyncIterator]();
  const subject = `codistill.${namespace}.actor.${name}`;
  let seq = -1;
  /** What comes for the present call, one thing after the other: calls are made one at a time. */
  const receive = async (...kinds: readonly string[]): Promise<Message> => {
    const { value, done } = await inbox.next();
    if (done) throw new Error('the connection is closed');
    const message = decodeMessage(value.data);
    if (message.of !== to || message.seq !== seq || !kinds.includes(message.kind)) {
      throw new Error(`not for call ${seq}: ${JSON.stringify(message)}`);
    }
    if (message.error !== undefined) throw toError(message.error as Fields);
    return message;
  };
  const send = (method: string, args: readonly unknown[], rare?: Fields): void => {
    seq += 1;
    nats.publish(subject, encodeCall({ to, from, method, seq }, args, rare));
  };
  return {
    async call(method, ...args) {
      send(method, args);
      return (await receive('reply')).value;
    },
    async *stream(method, ...args) {
      send(method, args, { credit: CREDIT });
      await receive('reply');
      for (let received = 0; ; ) {
        const { kind, index, value } = await receive('item', 'end');
        if (index !== received) throw new Error(`${kind} ${index} instead of ${received}`);
        if (kind === 'end') return;
        yield value;
        received += 1;
        const allowed = received + CREDIT;
        const credit = { kind: 'credit', to, from, seq, received, allowed, resend: false };
        nats.publish(subject, encodeFrame(credit));
      }
    },
    close: () => nats.close(),
  };
}

/** The incarnation that lives now. */
async function locate(nats: NatsConnection, namespace: string, name: string): Promise<string> {
  const ask = async (subject: string, question: Message): Promise<Fields> => {
    const answer = await nats.request(subject, encodeFrame(question), { timeout: TIMEOUT_MS });
    return decodeFrame(answer.data) as Fields;
  };
  const anybody = `codistill.${namespace}.locate`;
  const { address } = (await ask(anybody, { kind: 'lookup', name })) as {
    address: { owner: string };
  };
  const { status, epoch } = await ask(`${anybody}.${address.owner}`, { kind: 'locate', name });
  if (status !== 'running') throw new Error(`actor ${name} is ${status}`);
  return `${name}@${address.owner}#${epoch}`;
}

/** An envelope and, behind it, the frame of the arguments. */
function encodeCall(
  { to, from, method, seq }: { to: string; from: string; method: string; seq: number },
  args: readonly unknown[],
  rare: Fields | undefined,
): Uint8Array {
  const names = [to, from, method].map((name) => Buffer.from(name));
  const envelope = Buffer.alloc(8 * Math.ceil((36 + Buffer.concat(names).length) / 8));
  envelope.set([0x43, 0x44, 2, 2]);
  envelope.writeUInt32LE(envelope.length, 4);
  envelope.writeBigUInt64LE(BigInt(seq), 8);
  // All calls before this one are settled.
  envelope.writeBigUInt64LE(BigInt(seq), 16);
  envelope.writeUInt32LE(TIMEOUT_MS, 24);
  for (const [index, { length }] of names.entries()) envelope.writeUInt16LE(length, 28 + 2 * index);
  envelope[34] = rare === undefined ? 0 : 1;
  envelope.set(Buffer.concat(names), 36);
  return Buffer.concat([envelope, encodeFrame(rare === undefined ? args : [rare, args])]);
}

function decodeMessage(data: Uint8Array): Message {
  const bytes = Buffer.from(data);
  if (bytes[2] !== 2) return decodeFrame(bytes) as Message;
  const kind = bytes[3] === 3 ? 'reply' : 'item';
  const of = bytes.toString('utf8', 36, 36 + bytes.readUInt16LE(28));
  const [seq, index] = [8, 16].map((at) => Number(bytes.readBigUInt64LE(at)));
  const content = decodeFrame(bytes.subarray(bytes.readUInt32LE(4)));
  const [rare, value] = bytes[34] === 1 ? (content as [Fields, unknown]) : [{}, content];
  return { kind, of, seq, index, value, ...rare };
}

/** A frame without attachments. */
function encodeFrame(value: unknown): Uint8Array {
  const header = pack(value);
  const prefix = Buffer.from([0x43, 0x44, 1, 0, 0, 0, 0, 0]);
  prefix.writeUInt32LE(header.length, 4);
  return Buffer.concat([prefix, header]);
}

function decodeFrame(bytes: Uint8Array): unknown {
  if (bytes[3] !== 0) throw new Error('this client reads no attachments');
  return unpack(bytes.subarray(8));
}

function toError({ name, message, code }: Fields): Error {
  return Object.assign(new Error(message as string), { name, code });
}
