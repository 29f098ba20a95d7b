import * as v from 'valibot';
import type { ChunkReference } from './chunks.ts';

/** A value inside a message: itself, or where to fetch it when the bus can't carry it in one piece. */
export interface Carried {
  readonly value?: unknown;
  readonly chunks?: ChunkReference;
}

export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
export const texts = v.record(v.string(), v.string());

export const chunkReferenceSchema: v.GenericSchema<unknown, ChunkReference> = v.object({
  subject: v.string(),
  byteLength: count,
  chunkBytes: count,
  crc32: v.exactOptional(count),
  hub: v.exactOptional(v.string()),
});

/** The schema of `Carried`'s fields. */
export const carried = {
  value: v.exactOptional(v.unknown()),
  chunks: v.exactOptional(chunkReferenceSchema),
};
