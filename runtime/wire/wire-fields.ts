import * as v from 'valibot';
import { TIMER_MS_MAX } from '../clock.ts';
import type { ChunkReference } from './chunks.ts';

/** A value inside a message: itself, or where to fetch it when the bus can't carry it in one piece. */
export interface Carried {
  readonly value?: unknown;
  readonly chunks?: ChunkReference;
}

export const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** How long something may take; a longer timer would fire at once. */
export const durationMs = v.pipe(v.number(), v.gtValue(0), v.maxValue(TIMER_MS_MAX));
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
