import { join, resolve } from 'node:path';
import * as v from 'valibot';
import { DamagedDataError } from '../../errors.ts';
import { readIfThere } from '../atomic-file.ts';
import type { NodeOptions } from './node-command.ts';

/** In the server's folder. */
export const nodeSettingsName = 'node.json';
const words = v.exactOptional(v.array(v.string()));

/** Everything else is dropped, a token too: it stays in the file that `metricsTokenFile` names. */
const schema = v.object({
  name: v.exactOptional(v.string()),
  namespace: v.exactOptional(v.string()),
  module: words,
  resources: words,
  labels: words,
  allowEnvironment: words,
  metricsPort: v.exactOptional(
    v.object({
      port: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535)),
      host: v.exactOptional(v.string()),
    }),
  ),
  metricsTokenFile: v.exactOptional(v.string()),
}) satisfies v.GenericSchema<unknown, NodeOptions>;

/** What the node beside a server keeps of its flags, with absolute paths, so that the next `actorctl up` needs none. */
export type NodeSettings = v.InferOutput<typeof schema>;

/** Undefined where no node has joined yet. @throws DamagedDataError */
export function readNodeSettings(folder: string): NodeSettings | undefined {
  const path = join(folder, nodeSettingsName);
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return v.parse(schema, JSON.parse(text));
  } catch (cause) {
    throw new DamagedDataError(
      `${path} is damaged; delete it, and give the node's options again.`,
      { cause },
    );
  }
}

/** Each option by flag, else as it was before. */
export function planNodeSettings(
  flags: NodeOptions,
  before: NodeSettings | undefined,
  cwd: string,
): NodeSettings {
  const { module: modules, metricsTokenFile: tokenFile } = flags;
  const given = v.parse(schema, {
    ...flags,
    ...(modules && { module: modules.map((path) => resolve(cwd, path)) }),
    ...(tokenFile !== undefined && { metricsTokenFile: resolve(cwd, tokenFile) }),
  });
  return { ...before, ...given };
}
