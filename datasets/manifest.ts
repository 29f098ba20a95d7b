import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { DamagedDataError, UserInputError } from '../errors.ts';
import { writeAtomically } from './atomic-file.ts';

/**
 * The manifest at `path`, which says that the folder's files are whole.
 * @throws UserInputError with `absent` when there is none, DamagedDataError when it isn't as `schema` says.
 */
export async function readManifestFile<Schema extends v.GenericSchema>(
  path: string,
  schema: Schema,
  absent: string,
): Promise<v.InferOutput<Schema>> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new UserInputError(`${absent}: ${(cause as Error).message}`, { cause });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DamagedDataError(`${path} is damaged: it is not JSON`, { cause });
  }
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  throw new DamagedDataError(`${path} is damaged: ${v.summarize(parsed.issues)}`);
}

export async function writeManifestFile(path: string, manifest: object): Promise<void> {
  await writeAtomically(path, [Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)]);
}
