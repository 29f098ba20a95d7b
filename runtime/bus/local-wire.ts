/**
 * What hub and clients of the local bus say to each other. A packet is 16 bytes, a subject, an
 * extra subject (reply or queue) and a payload; integers are little-endian: `[u32 payload
 * bytes][u32 id][u16 subject bytes][u16 extra bytes][u8 kind]['C' 'D' version]`.
 */
const PACKET_HEAD_BYTES = 16;
export const LOCAL_PROTOCOL_VERSION = 2;
/** Longer subjects don't pass `assertSubject`. */
const TEXT_BYTES_MAX = 1024;
const KIND_MAX = 13;

export const PACKET = {
  /** Client's first. */
  hello: 1,
  /** Hub's answer; id: largest payload, extra: the connection's name. */
  welcome: 2,
  /** extra: reply subject, if any. */
  publish: 3,
  /** As publish, but the hub says so when nobody gets it. */
  request: 4,
  /** id: the client's number of the subscription, extra: queue, if any. */
  subscribe: 5,
  unsubscribe: 6,
  /** The hub answers with a pong of the same id, after all that came before. */
  ping: 7,
  pong: 8,
  /** id: the subscription that it is for; no subject where it is what was subscribed to. */
  message: 9,
  /** subject: the reply subject of the request. */
  nobody: 10,
  overloaded: 11,
  /** id: how many messages the hub dropped for this client; subject: one of theirs. */
  slowConsumer: 12,
  /** payload: why the hub closes the connection. */
  refused: 13,
} as const;

export interface PacketHead {
  readonly kind: number;
  readonly id: number;
  readonly subject: string;
  readonly extra: string;
  readonly payloadBytes: number;
  readonly headBytes: number;
}

export interface Packet {
  readonly kind: number;
  readonly id?: number;
  readonly subject?: string;
  readonly extra?: string | undefined;
  readonly pieces?: readonly Uint8Array[];
  readonly byteLength?: number;
}

/** The bytes of what comes before the payload. */
export function packetHeadBytes({ subject = '', extra = '' }: Packet): number {
  return PACKET_HEAD_BYTES + subject.length + extra.length;
}

/** Writes all but the payload and returns the position after it. */
export function writePacketHead(target: Buffer, start: number, packet: Packet): number {
  const { kind, id = 0, subject = '', extra = '', byteLength = 0 } = packet;
  target.writeUInt32LE(byteLength, start);
  target.writeUInt32LE(id, start + 4);
  target.writeUInt16LE(subject.length, start + 8);
  target.writeUInt16LE(extra.length, start + 10);
  target[start + 12] = kind;
  target[start + 13] = 0x43;
  target[start + 14] = 0x44;
  target[start + 15] = LOCAL_PROTOCOL_VERSION;
  let position = start + PACKET_HEAD_BYTES;
  position += target.write(subject, position, 'latin1');
  if (extra !== '') position += target.write(extra, position, 'latin1');
  return position;
}

/**
 * Reads all but the payload; undefined if `bytes` holds only a part of it.
 * @throws RangeError saying what is wrong with foreign bytes.
 */
export function readPacketHead(
  bytes: Buffer,
  start: number,
  end: number,
  payloadBytesMax: number,
): PacketHead | undefined {
  if (end - start < PACKET_HEAD_BYTES) return undefined;
  if (bytes[start + 13] !== 0x43 || bytes[start + 14] !== 0x44) {
    throw new RangeError('it sent bytes that are no packet of the local bus');
  }
  const version = bytes[start + 15];
  if (version !== LOCAL_PROTOCOL_VERSION) {
    throw new RangeError(
      `it speaks version ${version} of the local protocol, we ${LOCAL_PROTOCOL_VERSION}`,
    );
  }
  const payloadBytes = bytes.readUInt32LE(start);
  const subjectBytes = bytes.readUInt16LE(start + 8);
  const extraBytes = bytes.readUInt16LE(start + 10);
  const kind = bytes[start + 12]!;
  if (kind === 0 || kind > KIND_MAX) throw new RangeError(`it sent a packet of kind ${kind}`);
  if (subjectBytes > TEXT_BYTES_MAX || extraBytes > TEXT_BYTES_MAX) {
    throw new RangeError(`it sent a subject of over ${TEXT_BYTES_MAX} bytes`);
  }
  if (payloadBytes > payloadBytesMax) {
    throw new RangeError(`it sent ${payloadBytes} bytes in one message, over ${payloadBytesMax}`);
  }
  const headBytes = PACKET_HEAD_BYTES + subjectBytes + extraBytes;
  if (end - start < headBytes) return undefined;
  const subjectEnd = start + PACKET_HEAD_BYTES + subjectBytes;
  const id = bytes.readUInt32LE(start + 4);
  const subject = bytes.toString('latin1', start + PACKET_HEAD_BYTES, subjectEnd);
  const extra =
    extraBytes === 0 ? '' : bytes.toString('latin1', subjectEnd, subjectEnd + extraBytes);
  return { kind, id, subject, extra, payloadBytes, headBytes };
}
