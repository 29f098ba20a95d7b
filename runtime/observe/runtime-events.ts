import type { BusStatus } from '../bus/bus.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import type { ActorEvent } from '../nodes/actor-lives.ts';
import { subjects } from '../wire/address.ts';
import type { RuntimeEvent } from '../wire/runtime-event.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { PastEvent } from './inspection.ts';

/** Events that a node keeps for those who come late. */
const EVENTS_KEPT = 1_000;
/** A refused placement has a reason of each node. */
const MESSAGE_CHARACTERS_MAX = 2_000;

export type EventFacts = Omit<RuntimeEvent, 'nodeId' | 'nodeName' | 'seq'>;

/** What happened on one node: told at once to whoever listens, and the last thousand kept. */
export class RuntimeEvents {
  readonly #endpoint: Endpoint;
  readonly #nodeName: string;
  readonly #kept: { readonly at: number; readonly event: RuntimeEvent }[] = [];
  #seq = 0;

  constructor(endpoint: Endpoint, nodeName: string) {
    this.#endpoint = endpoint;
    this.#nodeName = nodeName;
  }

  add(facts: EventFacts): void {
    const { bus, clock, link, namespace, nodeId } = this.#endpoint;
    this.#seq += 1;
    const message = cut(facts.message);
    const teller = { nodeId, nodeName: this.#nodeName, seq: this.#seq };
    const event: RuntimeEvent = { ...facts, message, ...teller };
    this.#kept.push({ at: clock.now(), event });
    if (this.#kept.length > EVENTS_KEPT) this.#kept.shift();
    if (link.usable)
      bus.publish(subjects.events(namespace), encodeMessage({ kind: 'event', event }));
  }

  /** At most `count`, oldest first. */
  last(count: number): readonly PastEvent[] {
    const now = this.#endpoint.clock.now();
    const kept = count > 0 ? this.#kept.slice(-count) : [];
    return kept.map(({ at, event }) => ({ ageMs: now - at, event }));
  }
}

function cut(text: string): string {
  return text.length <= MESSAGE_CHARACTERS_MAX ? text : `${text.slice(0, MESSAGE_CHARACTERS_MAX)}…`;
}

/** `nodeName` names a node by its id. */
export function describeActorEvent(
  { event, actor, actorType, node, pid, epoch, cause }: ActorEvent,
  nodeName: (nodeId: string) => string,
): EventFacts {
  const where = `on ${nodeName(node)} (pid ${pid})`;
  const end = cause?.kind === 'stopped' ? 'ended' : 'died';
  const text = {
    started: `actor ${actor} (${actorType}) started ${where}`,
    restarted: `actor ${actor} restarted ${where}, life ${epoch}`,
    died: `actor ${actor} ${end}: ${cause?.message ?? 'for an unknown cause'}`,
  }[event];
  const facts = { actor, actorType, node, pid, epoch, ...(cause && { cause }) };
  return { event: `actor-${event}`, message: text, ...facts };
}

/** Undefined for what is no trouble: the bus was closed on purpose. */
export function describeBusStatus(status: BusStatus): EventFacts | undefined {
  switch (status.type) {
    case 'connected':
      return { event: 'bus-connected', message: 'the bus is back' };
    case 'disconnected':
      return { event: 'bus-disconnected', message: `the bus is away: ${status.reason}` };
    case 'slow-consumer': {
      const { droppedMessages, subject } = status;
      const message = `${droppedMessages} messages of ${subject} were dropped: a reader is too slow`;
      return { event: 'bus-slow', message };
    }
    case 'refused':
      return { event: 'bus-refused', message: status.error.message };
    case 'closed':
      return undefined;
  }
}
