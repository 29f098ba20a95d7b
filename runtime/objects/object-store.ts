import { DamagedDataError, ObjectLostError, ObjectStoreFullError } from '../../errors.ts';
import { type Clock, type ClockTimer, repeat } from '../clock.ts';
import { ChunkSource } from '../wire/chunk-source.ts';
import type { ObjectAddress } from '../wire/object-messages.ts';
import { LeaseBook } from './lease-book.ts';
import { MemoryRoom } from './memory-room.ts';
import type { SpillFolder } from './spill-folder.ts';

/** A copy of another node's object that nobody here has read for so long is dropped. */
const COPY_IDLE_MS = 60_000;

export interface ObjectStoreOptions {
  readonly nodeId: string;
  readonly clock: Clock;
  /** A word that is new for each life of the node. */
  readonly word: string;
  /** Of own objects, copies of others' and what is on its way here, together. */
  readonly memoryBytesMax: number;
  readonly diskBytesMax: number;
  /** How objects are cut, and summed, for other hosts. */
  readonly chunkBytes: number;
  readonly folder: SpillFolder;
  heardSince(): number | undefined;
}

/** One object as `System.objects()` tells of it. */
export interface ObjectFacts {
  readonly id: string;
  readonly bytes: number;
  /** The node that holds it; of another one this is a copy. */
  readonly owner: string;
  /** Processes with references, and references on their way in messages. */
  readonly holders: readonly string[];
  readonly where: 'memory' | 'disk' | 'lost';
  /** It lies on disk, perhaps besides memory. */
  readonly spilled: boolean;
}

interface StoredObject {
  readonly address: ObjectAddress;
  /** Absent while it is only on disk. */
  bytes: Uint8Array | undefined;
  /** By chunk size: what serves the bytes while they are in memory. */
  sources: Map<number, ChunkSource>;
  onDisk: boolean;
  usedAt: number;
  /** Its file was damaged. */
  damage: string | undefined;
  loading: Promise<Uint8Array> | undefined;
  onFree: (() => void) | undefined;
}

/**
 * The objects that a node holds, and its copies of others', within a limit of memory. What was used
 * least recently makes room: own objects go to disk, copies are dropped. The bytes of an object
 * never change, and never leave this class but to be copied or sent.
 */
export class ObjectStore {
  readonly #options: ObjectStoreOptions;
  readonly #leases: LeaseBook;
  readonly #room: MemoryRoom;
  /** The least recently used first. */
  readonly #objects = new Map<string, StoredObject>();
  readonly #fetching = new Map<string, Promise<void>>();
  #diskBytes = 0;
  #lastNumber = 0;
  /** Only while there are copies. */
  #tidying: ClockTimer | undefined;

  constructor(options: ObjectStoreOptions) {
    this.#options = options;
    this.#leases = new LeaseBook({
      clock: options.clock,
      heardSince: options.heardSince,
      onUnheld: (id) => this.#free(id),
    });
    this.#room = new MemoryRoom({
      bytesMax: options.memoryBytesMax,
      evictOne: (exchange) => this.#evictOne(exchange),
      createFullError: (byteLength) => this.#fullError(byteLength),
    });
  }

  get nodeId(): string {
    return this.#options.nodeId;
  }

  get memoryBytes(): number {
    return this.#room.usedBytes;
  }

  /**
   * Keeps the bytes that `receive` brings, which must be its own, with `holder` as first holder.
   * @param onFree runs once: when the object is freed, or can't be kept
   * @throws ObjectStoreFullError when neither memory nor disk has room, or what `receive` throws.
   */
  async put(
    holder: string,
    leaseMs: number,
    byteLength: number,
    receive: () => Uint8Array | Promise<Uint8Array>,
    onFree?: () => void,
  ): Promise<ObjectAddress> {
    const { word, nodeId, chunkBytes } = this.#options;
    const keep = (bytes: Uint8Array): ObjectAddress => {
      this.#lastNumber += 1;
      const id = `${word}-${this.#lastNumber}`;
      const source = new ChunkSource(bytes, chunkBytes);
      const address = { node: nodeId, id, byteLength, chunkBytes, crc32: source.crc32 };
      const object = this.#add(address, bytes);
      object.sources.set(chunkBytes, source);
      object.onFree = onFree;
      this.#leases.open(id);
      this.#leases.hold(holder, id, leaseMs);
      return address;
    };
    try {
      return await this.#room.receive({ byteLength, exchange: false }, receive, keep);
    } catch (error) {
      onFree?.();
      throw error;
    }
  }

  /**
   * Makes sure that a copy of another node's object is here; many that want it fetch it once.
   * @throws ObjectStoreFullError when it can't fit, or what `receive` throws.
   */
  async fetchOnce(address: ObjectAddress, receive: () => Promise<Uint8Array>): Promise<void> {
    const { id, byteLength } = address;
    if (this.#objects.has(id)) return;
    let fetching = this.#fetching.get(id);
    if (fetching === undefined) {
      const keep = (bytes: Uint8Array): void => this.#addCopy(address, bytes);
      fetching = this.#room
        .receive({ byteLength, exchange: false }, receive, keep)
        .finally(() => this.#fetching.delete(id));
      this.#fetching.set(id, fetching);
    }
    await fetching;
  }

  /** The bytes, not to be written to. @throws ObjectLostError, ObjectStoreFullError. */
  read(id: string): Uint8Array | Promise<Uint8Array> {
    const object = this.#find(id);
    this.#touch(object);
    return object.bytes ?? this.#load(object);
  }

  /**
   * What serves an object's chunks, as large as its reference says if not told otherwise; a promise
   * when it has to be read from disk first. @throws ObjectLostError.
   */
  source(id: string, bytesPerChunk?: number): ChunkSource | Promise<ChunkSource> {
    const object = this.#find(id);
    const chunkBytes = bytesPerChunk ?? object.address.chunkBytes;
    const bytes = this.read(id);
    return bytes instanceof Promise
      ? bytes.then((loaded) => sourceOf(object, loaded, chunkBytes))
      : sourceOf(object, bytes, chunkBytes);
  }

  hold(holder: string, ids: readonly string[], leaseMs: number): void {
    for (const id of ids) this.#leases.hold(holder, id, leaseMs);
  }

  release(holder: string, ids: readonly string[]): void {
    for (const id of ids) this.#leases.release(holder, id);
  }

  /** A process has ended, and needs nothing more. */
  releaseAll(holder: string): void {
    this.#leases.releaseAll(holder);
  }

  list(): readonly ObjectFacts[] {
    return [...this.#objects.values()].map(({ address, bytes, onDisk, damage }) => ({
      id: address.id,
      bytes: address.byteLength,
      owner: address.node,
      holders: this.#leases.holders(address.id),
      where: damage !== undefined ? 'lost' : bytes !== undefined ? 'memory' : 'disk',
      spilled: onDisk,
    }));
  }

  /** Forgets everything; what waits for room fails. */
  async close(): Promise<void> {
    this.#leases.close();
    this.#tidying?.cancel();
    this.#objects.clear();
    await this.#room.close();
    await this.#options.folder.close();
  }

  #find(id: string): StoredObject {
    const object = this.#objects.get(id);
    const { nodeId } = this.#options;
    if (object === undefined) {
      const text =
        `object ${id} is no longer on node ${nodeId}: all references to it were released, ` +
        'or the leases of their holders ended. Keep a reference as long as it is needed';
      throw new ObjectLostError(text, 'freed');
    }
    if (object.damage !== undefined) {
      const text = `object ${id} of node ${nodeId} was damaged on disk: ${object.damage}`;
      throw new ObjectLostError(text, 'damaged');
    }
    return object;
  }

  #add(address: ObjectAddress, bytes: Uint8Array): StoredObject {
    const object: StoredObject = {
      address,
      bytes,
      sources: new Map(),
      onDisk: false,
      usedAt: this.#options.clock.now(),
      damage: undefined,
      loading: undefined,
      onFree: undefined,
    };
    this.#objects.set(address.id, object);
    return object;
  }

  #touch(object: StoredObject): void {
    object.usedAt = this.#options.clock.now();
    this.#objects.delete(object.address.id);
    this.#objects.set(object.address.id, object);
  }

  #load(object: StoredObject): Promise<Uint8Array> {
    object.loading ??= this.#loadOnce(object).finally(() => {
      object.loading = undefined;
    });
    return object.loading;
  }

  async #loadOnce(object: StoredObject): Promise<Uint8Array> {
    const { id, byteLength } = object.address;
    const keep = (bytes: Uint8Array): Uint8Array => {
      // Freed meanwhile: whoever asked still gets it, but nothing is kept.
      if (this.#objects.get(id) === object) object.bytes = bytes;
      else this.#room.giveBack(byteLength);
      return bytes;
    };
    const order = { byteLength, exchange: true };
    const bytes = await this.#room.receive(order, () => this.#readFile(object), keep);
    this.#clearDisk(0);
    return bytes;
  }

  async #readFile(object: StoredObject): Promise<Uint8Array> {
    const { id, byteLength, chunkBytes, crc32 } = object.address;
    try {
      const bytes = await this.#options.folder.read(id);
      if (bytes.length !== byteLength || new ChunkSource(bytes, chunkBytes).crc32 !== crc32) {
        throw new DamagedDataError('what its file holds contradicts its checksum');
      }
      return bytes;
    } catch (error) {
      // Freed while it was read: that, and not its missing file, is why it can't be had.
      this.#find(id);
      object.damage = error instanceof Error ? error.message : String(error);
      this.#removeFile(object);
      this.#find(id);
      throw error;
    }
  }

  /** False when nothing in memory can leave it. @throws ObjectStoreFullError for a full disk. */
  async #evictOne(exchange: boolean): Promise<boolean> {
    const resident = [...this.#objects.values()].filter(({ bytes }) => bytes !== undefined);
    const [victim] = resident;
    if (victim === undefined) return false;
    try {
      if (this.#isCopy(victim)) this.#free(victim.address.id);
      else if (!victim.onDisk) await this.#spill(victim, exchange);
      this.#dropBytes(victim);
    } catch (error) {
      // No way to disk: a copy can still be dropped, however fresh it is.
      const copy = resident.find((object) => this.#isCopy(object));
      if (copy === undefined) throw error;
      this.#free(copy.address.id);
    }
    return true;
  }

  #isCopy({ address }: StoredObject): boolean {
    return address.node !== this.#options.nodeId;
  }

  #addCopy(address: ObjectAddress, bytes: Uint8Array): void {
    this.#add(address, bytes);
    const { clock } = this.#options;
    this.#tidying ??= repeat(clock, COPY_IDLE_MS, () => this.#dropIdleCopies());
  }

  #dropIdleCopies(): void {
    let copies = 0;
    const idleSince = this.#options.clock.now() - COPY_IDLE_MS;
    for (const object of this.#objects.values()) {
      if (!this.#isCopy(object)) continue;
      if (object.usedAt < idleSince) this.#free(object.address.id);
      else copies += 1;
    }
    if (copies > 0) return;
    this.#tidying?.cancel();
    this.#tidying = undefined;
  }

  async #spill(object: StoredObject, exchange: boolean): Promise<void> {
    const { id, byteLength } = object.address;
    this.#clearDisk(byteLength);
    const full = this.#diskBytes + byteLength > this.#options.diskBytesMax;
    if (full && !exchange) throw this.#fullError(byteLength);
    // Counted before it is written: a file of the same moment must not take its place.
    this.#diskBytes += byteLength;
    try {
      await this.#options.folder.write(id, object.bytes!);
      object.onDisk = true;
    } catch (error) {
      this.#diskBytes -= byteLength;
      throw error;
    }
    if (this.#objects.get(id) !== object) this.#removeFile(object);
  }

  /** Files of what is in memory as well are the first to go. */
  #clearDisk(byteLength: number): void {
    for (const object of this.#objects.values()) {
      if (this.#diskBytes + byteLength <= this.#options.diskBytesMax) return;
      if (object.onDisk && object.bytes !== undefined) this.#removeFile(object);
    }
  }

  #free(id: string): void {
    const object = this.#objects.get(id);
    if (object === undefined) return;
    this.#objects.delete(id);
    this.#dropBytes(object);
    this.#removeFile(object);
    // In a turn of its own: an object may be the last holder of the next one, and so on.
    if (object.onFree !== undefined) queueMicrotask(object.onFree);
  }

  #dropBytes(object: StoredObject): void {
    if (object.bytes === undefined) return;
    object.bytes = undefined;
    object.sources.clear();
    this.#room.giveBack(object.address.byteLength);
  }

  #removeFile(object: StoredObject): void {
    if (!object.onDisk) return;
    object.onDisk = false;
    this.#diskBytes -= object.address.byteLength;
    // Whatever can't be removed now is removed with its folder.
    void this.#options.folder.remove(object.address.id).catch(() => {});
  }

  #fullError(byteLength: number): ObjectStoreFullError {
    const { nodeId, memoryBytesMax, diskBytesMax } = this.#options;
    return new ObjectStoreFullError(
      `node ${nodeId} has no room for an object of ${byteLength} bytes: ` +
        `${this.#room.usedBytes} of ${memoryBytesMax} bytes of memory and ${this.#diskBytes} of ` +
        `${diskBytesMax} on disk are taken. Release references, or raise ` +
        'objects.memoryBytesMax or objects.diskBytesMax',
    );
  }
}

function sourceOf(object: StoredObject, bytes: Uint8Array, chunkBytes: number): ChunkSource {
  const known = object.sources.get(chunkBytes);
  if (known !== undefined) return known;
  const source = new ChunkSource(bytes, chunkBytes);
  // The sources of what was dropped meanwhile would keep its bytes.
  if (object.bytes === bytes) object.sources.set(chunkBytes, source);
  return source;
}
