import { open, rename, rm } from 'node:fs/promises';
import process from 'node:process';
import { UserInputError } from '../errors.ts';

/**
 * Writes `parts` one after the other to `path`: after a crash or on a full disk there is the whole
 * file or what was there before.
 * @throws UserInputError that says what stands in the way.
 */
export async function writeAtomically(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    const file = await open(temporary, 'w');
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw cannotWrite(path, cause);
  }
}

/** Why a file couldn't be written, and what to do. */
export function cannotWrite(path: string, cause: unknown): UserInputError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const reason =
    code === 'ENOSPC' || code === 'EDQUOT'
      ? 'the disk is full. Make room, or choose a folder on another disk'
      : message;
  return new UserInputError(`can't write ${path}: ${reason}`, { cause });
}
