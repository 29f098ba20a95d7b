import { stat } from 'node:fs/promises';
import { UserInputError } from '../errors.ts';
import { orUnreadable, readChunks } from './file-chunks.ts';

/** Takes a file, `.gz` unpacked, in pieces of the lengths that its format has. */
export class ByteReader {
  readonly path: string;
  readonly #chunks: AsyncGenerator<{ readonly bytes: Uint8Array }>;
  #rest: Uint8Array = new Uint8Array(0);

  private constructor(path: string, bytes: number) {
    this.path = path;
    this.#chunks = readChunks({ path, bytes });
  }

  /** @throws UserInputError when there is no such file. */
  static async open(path: string): Promise<ByteReader> {
    const info = await orUnreadable(path, stat(path));
    return new ByteReader(path, info.size);
  }

  /**
   * The next bytes; undefined at the end of the file.
   * @throws UserInputError when it ends within them.
   */
  async take(length: number): Promise<Uint8Array | undefined> {
    const parts: Uint8Array[] = [this.#rest];
    let have = this.#rest.length;
    while (have < length) {
      const { done, value } = await this.#chunks.next();
      if (done) {
        this.#rest = new Uint8Array(0);
        if (have === 0) return undefined;
        throw new UserInputError(
          `${this.path} ends too early: ${have} bytes of ${length} are there`,
        );
      }
      parts.push(value.bytes);
      have += value.bytes.length;
    }
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    this.#rest = bytes.subarray(length);
    return bytes.subarray(0, length);
  }

  /** Lets go of the file before its end. */
  async close(): Promise<void> {
    await this.#chunks.return(undefined);
  }
}
