import { crc32 } from 'node:zlib';
import * as v from 'valibot';
import { DamagedDataError } from '../../errors.ts';
import { type Register, registerKey } from './register.ts';

/** Where chunks are kept, once each; what is read back is checked by its checksum. */
export interface ChunkStore {
  readonly chunkBytes: number;
  put(path: string, bytes: Uint8Array): Promise<void>;
  /** @throws DamagedDataError for one that is not there. */
  get(path: string): Promise<Uint8Array>;
  /** Everything below `path`. */
  remove(path: string): Promise<void>;
}

/** The states of actors that outlive their node, where every node can read them. */
export interface ReplicatedCheckpoints {
  /** @throws DamagedDataError for a life that a later one has replaced. */
  save(actor: string, epoch: number, bytes: Uint8Array): Promise<void>;
  /** The last state, for the life `epoch`: no earlier life can save one from now on. */
  load(actor: string, epoch: number): Promise<Uint8Array | undefined>;
  /** The actor is gone for good. */
  remove(actor: string): Promise<void>;
}

const WAIT = { timeoutMs: 15_000 };
/** So many chunks are on their way at once. */
const CHUNKS_AT_ONCE = 4;

const stateSchema = v.object({
  path: v.string(),
  byteLength: v.number(),
  crc32: v.number(),
});
/** The last state and the one before it, which is there in case the last one can't be read. */
const pointerSchema = v.object({
  epoch: v.number(),
  saved: v.number(),
  states: v.pipe(v.array(stateSchema), v.maxLength(2)),
});

type State = v.InferOutput<typeof stateSchema>;
type Pointer = v.InferOutput<typeof pointerSchema>;

/**
 * Chunks in a store and, once they are all there, a pointer to them in the register, written by
 * compare-and-set: a state is whole or not there, and an earlier life can't overwrite a later one's.
 */
export function createReplicatedCheckpoints(
  register: Register,
  chunks: ChunkStore,
): ReplicatedCheckpoints {
  const read = async (actor: string) => {
    const entry = await register.get(pointerKey(actor), WAIT);
    if (entry === undefined) return { pointer: emptyPointer, revision: undefined };
    return { pointer: v.parse(pointerSchema, entry.value), revision: entry.revision };
  };
  /** Writes what `change` makes of the pointer; undefined from it changes nothing. */
  const amend = async (
    actor: string,
    change: (pointer: Pointer) => Pointer | undefined,
  ): Promise<Pointer> => {
    const key = pointerKey(actor);
    for (;;) {
      const { pointer, revision } = await read(actor);
      const next = change(pointer);
      if (next === undefined) return pointer;
      const written =
        revision === undefined
          ? await register.create(key, next, WAIT)
          : await register.update(key, next, revision, WAIT);
      if (written !== undefined) return pointer;
    }
  };
  return {
    async save(actor, epoch, bytes) {
      const { pointer } = await read(actor);
      checkEpoch(actor, epoch, pointer);
      const path = registerKey(actor, `${epoch}-${pointer.saved + 1}`);
      await putChunks(chunks, path, bytes);
      const state = { path, byteLength: bytes.length, crc32: crc32(bytes) };
      const before = await amend(actor, (known) => {
        checkEpoch(actor, epoch, known);
        const states = [state, ...known.states.slice(0, 1)];
        return { epoch, saved: pointer.saved + 1, states };
      });
      const outdated = before.states[1];
      if (outdated !== undefined) await chunks.remove(outdated.path);
    },
    async load(actor, epoch) {
      const pointer = await amend(actor, (known) => {
        checkEpoch(actor, epoch, known);
        return known.epoch === epoch ? undefined : { ...known, epoch };
      });
      return loadNewest(chunks, actor, pointer.states);
    },
    async remove(actor) {
      const { revision } = await read(actor);
      if (revision === undefined) return;
      await register.delete(pointerKey(actor), revision, WAIT);
      await chunks.remove(registerKey(actor));
    },
  };
}

const emptyPointer: Pointer = { epoch: 0, saved: 0, states: [] };

function pointerKey(actor: string): string {
  return registerKey('checkpoints', actor);
}

function checkEpoch(actor: string, epoch: number, pointer: Pointer): void {
  if (epoch >= pointer.epoch) return;
  throw new DamagedDataError(
    `life ${epoch} of actor ${actor} was replaced by life ${pointer.epoch}; its state is not wanted`,
  );
}

async function putChunks(chunks: ChunkStore, path: string, bytes: Uint8Array): Promise<void> {
  const { chunkBytes } = chunks;
  await inParallel(Math.ceil(bytes.length / chunkBytes), async (index) => {
    const part = bytes.subarray(index * chunkBytes, (index + 1) * chunkBytes);
    await chunks.put(`${path}.${index}`, part);
  });
}

async function loadNewest(
  chunks: ChunkStore,
  actor: string,
  states: readonly State[],
): Promise<Uint8Array | undefined> {
  const damages: string[] = [];
  for (const state of states) {
    try {
      return await getChunks(chunks, state);
    } catch (error) {
      if (!(error instanceof DamagedDataError)) throw error;
      damages.push(error.message);
    }
  }
  if (damages.length === 0) return undefined;
  throw new DamagedDataError(`no state of actor ${actor} can be read: ${damages.join('; ')}`);
}

async function getChunks(chunks: ChunkStore, state: State): Promise<Uint8Array> {
  const { path, byteLength } = state;
  const { chunkBytes } = chunks;
  const bytes = new Uint8Array(byteLength);
  await inParallel(Math.ceil(byteLength / chunkBytes), async (index) => {
    const part = await chunks.get(`${path}.${index}`);
    const length = Math.min(chunkBytes, byteLength - index * chunkBytes);
    if (part.length !== length) {
      throw new DamagedDataError(`chunk ${index} of ${path} has ${part.length} of ${length} bytes`);
    }
    bytes.set(part, index * chunkBytes);
  });
  if (crc32(bytes) === state.crc32) return bytes;
  throw new DamagedDataError(`the checksum of ${path} doesn't match`);
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      await work(index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(CHUNKS_AT_ONCE, count) }, lane));
}
