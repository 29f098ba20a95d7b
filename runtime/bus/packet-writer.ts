import type { Socket } from 'node:net';
import { type Packet, packetHeadBytes, writePacketHead } from './local-wire.ts';

const SLAB_BYTES = 64 << 10;
/**
 * Smaller payloads are copied next to their head: one large write is cheaper than many pieces, and
 * a small piece that waits for a slow reader would keep the whole chunk that it was read in.
 */
const COPY_BYTES_MAX = 16 << 10;

/** Packets of one turn that are written before its end; after twice as many the next ones, and so on. */
const EARLY_PACKETS = 16;

/**
 * Gathers the packets of one turn of the event loop and writes them to a socket at once; an `eager` one
 * writes the first of many earlier, so that the far side begins with them while this one goes on.
 */
export class PacketWriter {
  readonly #socket: Socket;
  readonly #queued: Uint8Array[] = [];
  #queuedBytes = 0;
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  #slabStart = 0;
  #slabEnd = 0;
  #scheduled = false;
  /** In this turn. */
  #packets = 0;
  #packetsDue: number;
  readonly #packetsDueFirst: number;

  constructor(socket: Socket, { eager }: { readonly eager: boolean }) {
    this.#socket = socket;
    this.#packetsDueFirst = eager ? EARLY_PACKETS : Number.POSITIVE_INFINITY;
    this.#packetsDue = this.#packetsDueFirst;
  }

  /** What the far side has not taken yet; the kernel's buffers don't count. */
  get pendingBytes(): number {
    return this.#queuedBytes + this.#socket.writableLength;
  }

  write(packet: Packet): void {
    const { pieces = [], byteLength = 0 } = packet;
    const copied = byteLength <= COPY_BYTES_MAX;
    const headBytes = packetHeadBytes(packet);
    const slabBytes = headBytes + (copied ? byteLength : 0);
    if (this.#slabEnd + slabBytes > SLAB_BYTES) this.#renewSlab();
    this.#slabEnd = writePacketHead(this.#slab, this.#slabEnd, packet);
    this.#queuedBytes += headBytes + byteLength;
    if (copied) {
      for (const piece of pieces) {
        this.#slab.set(piece, this.#slabEnd);
        this.#slabEnd += piece.length;
      }
    } else {
      this.#queueSlab();
      this.#queued.push(...pieces);
    }
    this.#packets += 1;
    if (this.#packets === this.#packetsDue) {
      this.#packetsDue *= 2;
      this.#writeQueued();
    }
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.flush());
    }
  }

  flush(): void {
    this.#scheduled = false;
    this.#packets = 0;
    this.#packetsDue = this.#packetsDueFirst;
    this.#writeQueued();
  }

  #writeQueued(): void {
    this.#queueSlab();
    if (this.#queued.length === 0) return;
    const { destroyed, writableEnded } = this.#socket;
    if (!destroyed && !writableEnded) {
      this.#socket.cork();
      for (const piece of this.#queued) this.#socket.write(piece);
      this.#socket.uncork();
    }
    this.#queued.length = 0;
    this.#queuedBytes = 0;
  }

  #queueSlab(): void {
    if (this.#slabEnd === this.#slabStart) return;
    this.#queued.push(this.#slab.subarray(this.#slabStart, this.#slabEnd));
    this.#slabStart = this.#slabEnd;
  }

  /** The old slab belongs to the socket until it is written, so it can't be used again. */
  #renewSlab(): void {
    this.#queueSlab();
    this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
    this.#slabStart = 0;
    this.#slabEnd = 0;
  }
}
