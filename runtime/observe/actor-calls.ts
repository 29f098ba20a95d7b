import type { RecordedMessage } from '../wire/node-messages.ts';

/** Calls of an actor that ended lately, in the order of their ends. */
export interface ActorCalls {
  readonly actor: string;
  readonly actorType: string;
  readonly epoch: number;
  /** The id of the node that it lives on. */
  readonly node: string;
  readonly calls: readonly TimedCall[];
  /** Calls beyond five thousand a second are only counted. */
  readonly omitted: number;
}

export interface TimedCall {
  readonly method: string;
  /** On the owner's clock, but for the time that the message took. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly failed: boolean;
  /** Of a stream: how many it brought; it ran from its opening to its end. */
  readonly items?: number;
}

/** `now` is when the message came. */
export function timeCalls({ kind: _, ...message }: RecordedMessage, now: number): ActorCalls {
  const calls = message.calls.map(([method, agoMs, durationMs, failed, items]) => {
    const timed = { method, startMs: now - agoMs, durationMs, failed };
    return items === undefined ? timed : { ...timed, items };
  });
  return { ...message, calls };
}
