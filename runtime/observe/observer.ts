import { DeadlineError, NoResponderError } from '../../errors.ts';
import type { Bus, Subscription } from '../bus/bus.ts';
import { requestControl } from '../calls/control.ts';
import { type Endpoint, openCarried, watchLink } from '../calls/endpoint.ts';
import type { Clock } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import type { InspectMessage } from '../wire/node-messages.ts';
import type { RuntimeEvent } from '../wire/runtime-event.ts';
import { decodeMessage, encodeMessage } from '../wire/wire.ts';
import { type NodeInspection, type NodeName, parseNodeInspection } from './inspection.ts';

const NODE_TIMEOUT_MS = 3_000;
/** Nodes asked at one time: an answer may be large. */
const ASKED_AT_ONCE = 64;
const NODES_MAX = 4096;

export interface InspectOptions {
  /** For each node. Default 3 s. */
  readonly timeoutMs?: number;
  /** Past events of each node. Default none. */
  readonly eventsMax?: number;
}

/** A namespace at a moment, as its nodes tell it. */
export interface Inspection {
  readonly nodes: readonly NodeInspection[];
  /** Nodes that others know and that did not answer. */
  readonly silent: readonly SilentNode[];
}

export interface SilentNode extends NodeName {
  readonly reason: string;
}

/** Looks at a namespace without being a node of it: it asks and listens, and changes nothing. */
export interface Observer {
  /** @throws DeadlineError when there are nodes and not one of them answers. */
  inspect(options?: InspectOptions): Promise<Inspection>;
  onEvent(listener: (event: RuntimeEvent) => void): Subscription;
  /** Leaves the bus open. */
  close(): void;
}

/** `bus` stays the caller's to close. */
export function createObserver(options: {
  readonly bus: Bus;
  readonly namespace: string;
  readonly clock: Clock;
}): Observer {
  const { bus, namespace, clock } = options;
  const link = watchLink(bus, clock);
  const endpoint: Endpoint = { bus, clock, namespace, nodeId: 'observer', link };
  return {
    inspect: ({ timeoutMs = NODE_TIMEOUT_MS, eventsMax = 0 } = {}) =>
      inspectAll(endpoint, timeoutMs, eventsMax),
    onEvent: (listener) =>
      bus.subscribe(subjects.events(namespace), ({ data }) => {
        const event = readEvent(data);
        if (event !== undefined) listener(event);
      }),
    close: () => link.close(),
  };
}

/** The node that is quickest to answer finds out who else is there, and those name whom they watch, so nobody has to wait for heartbeats. */
async function inspectAll(
  endpoint: Endpoint,
  timeoutMs: number,
  eventsMax: number,
): Promise<Inspection> {
  const nodes: NodeInspection[] = [];
  const silent: SilentNode[] = [];
  const first = await findNode(endpoint, timeoutMs);
  if (first === undefined) return { nodes, silent };
  const known = new Set([first]);
  let next: NodeName[] = [{ nodeId: first, nodeName: first }];
  while (next.length > 0) {
    const asked = next.splice(0, ASKED_AT_ONCE);
    const ask = ({ nodeId }: NodeName) => {
      const message = { kind: 'inspect', eventsMax, everybody: nodeId === first } as const;
      return inspectNode(endpoint, nodeId, timeoutMs, message);
    };
    const answers = await Promise.allSettled(asked.map(ask));
    for (const [index, answer] of answers.entries()) {
      if (answer.status === 'rejected') {
        silent.push({ ...asked[index]!, reason: describeSilence(answer.reason) });
        continue;
      }
      nodes.push(answer.value);
      const news = answer.value.peers.filter(({ nodeId }) => !known.has(nodeId));
      for (const { nodeId } of news) known.add(nodeId);
      next = [...next, ...news].slice(0, NODES_MAX);
    }
  }
  nodes.sort(byName);
  silent.sort(byName);
  return { nodes, silent };
}

/** The id of the node that is quickest to answer, or undefined when there is none. */
async function findNode(endpoint: Endpoint, timeoutMs: number): Promise<string | undefined> {
  const parcel = { bytes: encodeMessage({ kind: 'ping' }) };
  const subject = subjects.inspect(endpoint.namespace);
  try {
    return (await requestControl(endpoint, subject, 'pong', parcel, { timeoutMs })).owner;
  } catch (error) {
    if (error instanceof NoResponderError) return undefined;
    if (!(error instanceof DeadlineError)) throw error;
    throw new DeadlineError(
      `no node of namespace ${endpoint.namespace} answered within ${timeoutMs} ms, though some ` +
        'listen: they are stopped or very busy, or the bus is slow',
    );
  }
}

async function inspectNode(
  endpoint: Endpoint,
  nodeId: string,
  timeoutMs: number,
  message: InspectMessage,
): Promise<NodeInspection> {
  const parcel = { bytes: encodeMessage(message) };
  const subject = subjects.inspectNode(endpoint.namespace, nodeId);
  const answer = await requestControl(endpoint, subject, 'inspection', parcel, { timeoutMs });
  return parseNodeInspection(await openCarried(endpoint.bus, answer, { timeoutMs }));
}

function describeSilence(error: unknown): string {
  if (error instanceof NoResponderError) return 'it is no longer there';
  if (error instanceof DeadlineError) return 'it did not answer in time';
  return error instanceof Error ? error.message : String(error);
}

function readEvent(data: Uint8Array): RuntimeEvent | undefined {
  try {
    const message = decodeMessage(data);
    return message.kind === 'event' ? message.event : undefined;
  } catch {
    return undefined;
  }
}

function byName(a: NodeName, b: NodeName): number {
  if (a.nodeName !== b.nodeName) return a.nodeName < b.nodeName ? -1 : 1;
  return a.nodeId < b.nodeId ? -1 : 1;
}
