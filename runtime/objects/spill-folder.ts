import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ObjectStoreFullError } from '../../errors.ts';

/** Files of objects that memory has no room for; the folder is made with the first of them. */
export class SpillFolder {
  readonly #parent: string;
  #folder: Promise<string> | undefined;
  /** One after another: a file may be removed and written again. */
  #turn: Promise<unknown> = Promise.resolve();

  /** @param parent exists; default the system's temporary folder. */
  constructor(parent: string = tmpdir()) {
    this.#parent = parent;
  }

  /**
   * Leaves the whole file or none.
   * @throws ObjectStoreFullError when the disk is full or can't be written.
   */
  write(id: string, bytes: Uint8Array): Promise<void> {
    return this.#inTurn(() => this.#write(id, bytes));
  }

  /** @throws the file system's error. */
  read(id: string): Promise<Uint8Array> {
    return this.#inTurn(async () => await readFile(await this.#path(id)));
  }

  /** Does nothing if there is no such file. */
  remove(id: string): Promise<void> {
    return this.#inTurn(async () => await rm(await this.#path(id), { force: true }));
  }

  /** Removes the folder and all that is in it. */
  async close(): Promise<void> {
    await this.#turn;
    const folder = await this.#folder?.catch(() => undefined);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }

  async #write(id: string, bytes: Uint8Array): Promise<void> {
    let path: string | undefined;
    try {
      path = await this.#path(id);
      const file = await open(path, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
      } finally {
        await file.close();
      }
    } catch (cause) {
      if (path !== undefined) await rm(path, { force: true }).catch(() => {});
      const { code, message } = cause as NodeJS.ErrnoException;
      const full = code === 'ENOSPC' || code === 'EDQUOT';
      throw new ObjectStoreFullError(
        `object ${id} could not be moved to disk: ${full ? 'the disk is full' : message}. ` +
          'Make room, choose another objects.spillFolder or raise objects.memoryBytesMax; ' +
          'what is in memory stays there',
        { cause },
      );
    }
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #path(id: string): Promise<string> {
    this.#folder ??= mkdtemp(join(this.#parent, 'codistill-objects-')).catch((error) => {
      // The next attempt may find what was missing.
      this.#folder = undefined;
      throw error;
    });
    return join(await this.#folder, id);
  }
}
