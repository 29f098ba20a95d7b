import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { DamagedDataError } from '../../errors.ts';
import { encodeToken } from '../wire/address.ts';

/** Where the owner of actors keeps their states, by actor name. */
export interface CheckpointStore {
  /** Resolves when the state would survive the end of this process. */
  save(actor: string, bytes: Uint8Array): Promise<void>;
  /** The last state saved, or undefined when there is none. */
  load(actor: string): Promise<Uint8Array | undefined>;
}

export function createMemoryCheckpointStore(): CheckpointStore {
  const states = new Map<string, Uint8Array>();
  return {
    async save(actor, bytes) {
      states.set(actor, bytes.slice());
    },
    async load(actor) {
      return states.get(actor);
    },
  };
}

export interface FileCheckpointStoreOptions {
  /** Hears of damaged files that were passed over. */
  readonly onWarning?: (message: string) => void;
}

/** Of each actor the last good states; the older one is there in case the newer one is damaged. */
const STATES_KEPT = 2;
const MAGIC = 0x4b_43_44_43;
const VERSION = 1;
/** Magic, version, crc32, reserved, then the length in 8 bytes: states start 8-byte-aligned. */
const HEADER_BYTES = 24;

/**
 * One file per state, `<actor>.<number>.checkpoint`: written aside, synced, renamed. A damaged newest
 * file is passed over, loudly, for the one before.
 */
export function createFileCheckpointStore(
  directory: string,
  options: FileCheckpointStoreOptions = {},
): CheckpointStore {
  const warn = options.onWarning ?? ((message) => process.emitWarning(message));
  /** Saves of one actor follow each other: the later one has the higher number. */
  const saving = new Map<string, Promise<void>>();
  return {
    save(actor, bytes) {
      const before = saving.get(actor) ?? Promise.resolve();
      const saved = before.catch(() => {}).then(() => saveState(directory, actor, bytes));
      saving.set(actor, saved);
      const forget = (): void => {
        if (saving.get(actor) === saved) saving.delete(actor);
      };
      saved.then(forget, forget);
      return saved;
    },
    async load(actor) {
      await saving.get(actor)?.catch(() => {});
      return loadState(directory, actor, warn);
    },
  };
}

async function saveState(directory: string, actor: string, bytes: Uint8Array): Promise<void> {
  await mkdir(directory, { recursive: true });
  const numbers = await stateNumbers(directory, actor);
  const path = join(directory, fileName(actor, (numbers[0] ?? 0) + 1));
  const temporary = `${path}.part`;
  try {
    const file = await open(temporary, 'w');
    try {
      // Unlike `writev`, this goes on where the system stopped: a disk that fills up cuts a write short first.
      for (const part of [header(bytes), bytes]) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
  for (const number of numbers.slice(STATES_KEPT - 1)) {
    await rm(join(directory, fileName(actor, number)), { force: true });
  }
}

async function loadState(
  directory: string,
  actor: string,
  warn: (message: string) => void,
): Promise<Uint8Array | undefined> {
  const numbers = await stateNumbers(directory, actor);
  const damages: string[] = [];
  const damaged: string[] = [];
  for (const number of numbers) {
    const name = fileName(actor, number);
    try {
      const state = checkState(await readFile(join(directory, name)), name);
      if (damages.length > 0) warn(`${damages.join('; ')}; going on from ${name}`);
      await setAside(directory, damaged);
      return state;
    } catch (error) {
      if (!(error instanceof DamagedDataError)) throw error;
      damages.push(error.message);
      damaged.push(name);
    }
  }
  if (damages.length === 0) return undefined;
  throw new DamagedDataError(
    `no state of actor ${actor} in ${directory} can be read: ${damages.join('; ')}. ` +
      'Remove these files to start it anew.',
  );
}

/** Damaged states must not count as ones that are kept, or the next save would leave one good state. */
async function setAside(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rename(join(directory, name), join(directory, `${name}.damaged`));
}

/** The numbers of the actor's states, newest first. */
async function stateNumbers(directory: string, actor: string): Promise<readonly number[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const prefix = `${encodeToken(actor)}.`;
  const numbers: number[] = [];
  for (const name of names) {
    if (!name.startsWith(prefix) || !name.endsWith('.checkpoint')) continue;
    const number = Number(name.slice(prefix.length, -'.checkpoint'.length));
    if (Number.isSafeInteger(number)) numbers.push(number);
  }
  return numbers.sort((a, b) => b - a);
}

function fileName(actor: string, number: number): string {
  return `${encodeToken(actor)}.${number}.checkpoint`;
}

function header(bytes: Uint8Array): Uint8Array {
  const head = new DataView(new ArrayBuffer(HEADER_BYTES));
  head.setUint32(0, MAGIC, true);
  head.setUint32(4, VERSION, true);
  head.setUint32(8, crc32(bytes), true);
  head.setBigUint64(16, BigInt(bytes.length), true);
  return new Uint8Array(head.buffer);
}

function checkState(file: Uint8Array, name: string): Uint8Array {
  const head = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < HEADER_BYTES || head.getUint32(0, true) !== MAGIC) {
    throw new DamagedDataError(`${name} is no checkpoint file`);
  }
  const version = head.getUint32(4, true);
  if (version !== VERSION) {
    throw new DamagedDataError(`${name} has format version ${version}, expected ${VERSION}`);
  }
  const bytes = file.subarray(HEADER_BYTES);
  if (BigInt(bytes.length) !== head.getBigUint64(16, true)) {
    throw new DamagedDataError(`${name} is cut off: it has ${bytes.length} bytes of state`);
  }
  if (crc32(bytes) !== head.getUint32(8, true)) {
    throw new DamagedDataError(`${name} is damaged: its checksum doesn't match`);
  }
  return bytes;
}

/** A rename is durable only when its directory is synced, where the platform can do that. */
async function syncDirectory(directory: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
