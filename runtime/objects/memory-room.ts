import { BusClosedError } from '../../errors.ts';

export interface RoomOrder {
  readonly byteLength: number;
  /** It comes from disk, where what leaves memory for it may go even beyond the limit. */
  readonly exchange: boolean;
}

export interface MemoryRoomOptions {
  readonly bytesMax: number;
  /**
   * Lets something leave memory, and gives its bytes back; false when nothing can.
   * @throws ObjectStoreFullError when there is no way to leave.
   */
  evictOne(exchange: boolean): Promise<boolean>;
  createFullError(byteLength: number): Error;
}

/** A limit of bytes: their room is taken before they come, and others leave for it if need be. */
export class MemoryRoom {
  readonly #options: MemoryRoomOptions;
  #usedBytes = 0;
  /** Of what is on its way and can't leave yet. */
  #reservations = 0;
  /** One after another makes room, so that two don't count on the same bytes. */
  #turn: Promise<void> = Promise.resolve();
  #onRoom: (() => void) | undefined;
  #closed = false;

  constructor(options: MemoryRoomOptions) {
    this.#options = options;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /**
   * Counts what `receive` brings from the moment when its room is taken, until `keep` has it and
   * whoever keeps it gives the bytes back.
   * @throws ObjectStoreFullError, or what `receive` throws.
   */
  async receive<Kept>(
    order: RoomOrder,
    receive: () => Uint8Array | Promise<Uint8Array>,
    keep: (bytes: Uint8Array) => Kept,
  ): Promise<Kept> {
    await this.#take(order);
    try {
      return keep(await receive());
    } catch (error) {
      this.giveBack(order.byteLength);
      throw error;
    } finally {
      this.#reservations -= 1;
      this.#onRoom?.();
    }
  }

  giveBack(byteLength: number): void {
    this.#usedBytes -= byteLength;
    this.#onRoom?.();
  }

  /** What waits for room fails. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#onRoom?.();
    await this.#turn;
  }

  async #take({ byteLength, exchange }: RoomOrder): Promise<void> {
    const { bytesMax, evictOne, createFullError } = this.#options;
    if (byteLength > bytesMax) throw createFullError(byteLength);
    const taken = this.#turn.then(async () => {
      while (this.#usedBytes + byteLength > bytesMax) {
        if (this.#closed) throw new BusClosedError('the object store was closed');
        if (await evictOne(exchange)) continue;
        if (this.#reservations === 0) throw createFullError(byteLength);
        // What is on its way settles by its own deadline, and can leave then.
        await new Promise<void>((resolve) => {
          this.#onRoom = resolve;
        });
      }
      this.#usedBytes += byteLength;
      this.#reservations += 1;
    });
    this.#turn = taken.catch(() => {});
    await taken;
  }
}
