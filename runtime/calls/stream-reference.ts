import * as v from 'valibot';

/** An async iterable among the arguments of a call, as plain data: where its items are asked for. */
export interface StreamReference {
  /** The inbox of the process that has the iterable. */
  readonly subject: string;
  /** Names it there. */
  readonly id: string;
}

export const streamReferenceSchema: v.GenericSchema<unknown, StreamReference> = v.object({
  subject: v.string(),
  id: v.string(),
});
