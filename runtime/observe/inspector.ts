import type { Subscription } from '../bus/bus.ts';
import { requestControl, serveControl } from '../calls/control.ts';
import { type Endpoint, openCarried } from '../calls/endpoint.ts';
import type { Membership } from '../nodes/membership.ts';
import type { HostedActor, Node } from '../nodes/node.ts';
import type { OwnedActor } from '../nodes/owned-actor.ts';
import type { Supervisor } from '../nodes/supervisor.ts';
import type { ObjectFacts, ObjectStore } from '../objects/object-store.ts';
import { subjects } from '../wire/address.ts';
import { encodeMessage, PROTOCOL_VERSION } from '../wire/wire.ts';
import {
  type ActorFigures,
  type HostedFacts,
  INSPECTED_ACTORS_MAX,
  INSPECTED_OBJECTS_MAX,
  type InspectedObject,
  type NodeDescription,
  type NodeInspection,
  type OwnedFacts,
  parseActorFigures,
} from './inspection.ts';
import { processFigures } from './process-figures.ts';
import type { RuntimeEvents } from './runtime-events.ts';

/** A process that is busy for longer is told of with the figures that it gave before. */
const FIGURES_TIMEOUT_MS = 1_000;
const DEAD_ACTORS_TOLD = 100;

export interface InspectorOptions {
  readonly endpoint: Endpoint;
  readonly node: Node;
  readonly supervisor: Supervisor;
  readonly membership: Membership;
  readonly store: ObjectStore;
  readonly events: RuntimeEvents;
}

/** Answers whoever asks what this node is, knows and runs. It only reads. */
export class Inspector {
  readonly #options: InspectorOptions;
  readonly #serving: readonly Subscription[];
  readonly #startedAt: number;
  readonly #figures = new WeakMap<HostedActor, { readonly at: number; figures: ActorFigures }>();

  constructor(options: InspectorOptions) {
    this.#options = options;
    const { bus, namespace, nodeId, clock } = options.endpoint;
    this.#startedAt = clock.now();
    this.#serving = [
      serveControl(bus, subjects.inspect(namespace), ({ kind }) =>
        kind === 'ping' ? { kind: 'pong', owner: nodeId } : undefined,
      ),
      serveControl(bus, subjects.inspectNode(namespace, nodeId), async (message) => {
        if (message.kind !== 'inspect') return undefined;
        if (message.everybody) await options.membership.rollCall();
        return { kind: 'inspection', value: await this.inspect(message.eventsMax) };
      }),
    ];
  }

  /** With `eventsMax` past events at most. Takes a second when an actor is busy. */
  async inspect(eventsMax: number): Promise<NodeInspection> {
    const { node, supervisor, store, events } = this.#options;
    const objects = listLargest(store.list());
    const hosted = node.hosted.slice(0, INSPECTED_ACTORS_MAX);
    const owned = listTold(supervisor.owned);
    return {
      ...this.describe(),
      hosted: await Promise.all(hosted.map((actor) => this.#inspectHosted(actor))),
      owned: owned.slice(0, INSPECTED_ACTORS_MAX).map((actor) => this.#describeOwned(actor)),
      omittedActors:
        Math.max(0, node.hosted.length - INSPECTED_ACTORS_MAX) +
        Math.max(0, owned.length - INSPECTED_ACTORS_MAX),
      objects: objects.slice(0, INSPECTED_OBJECTS_MAX),
      objectMemoryBytes: store.memoryBytes,
      omittedObjects: Math.max(0, objects.length - INSPECTED_OBJECTS_MAX),
      events: events.last(eventsMax),
    };
  }

  /** The node without its actors: nobody has to be asked. */
  describe(): NodeDescription {
    const { endpoint, membership } = this.#options;
    const [self, ...others] = membership.nodes();
    const { nodeId, nodeName, pid, labels, resources, free, actorTypes } = self!;
    return {
      nodeId,
      nodeName,
      pid,
      protocol: PROTOCOL_VERSION,
      bus: endpoint.bus.kind,
      labels,
      resources,
      free,
      actorTypes,
      uptimeMs: Math.round(endpoint.clock.now() - this.#startedAt),
      ...processFigures(),
      peers: others.map((other) => ({ nodeId: other.nodeId, nodeName: other.nodeName })),
      refusals: membership.refusals,
    };
  }

  close(): void {
    for (const subscription of this.#serving) subscription.unsubscribe();
  }

  async #inspectHosted(actor: HostedActor): Promise<HostedFacts> {
    const { name, type, owner, epoch, isolation, labels } = actor.start;
    const pid = actor.child?.pid ?? process.pid;
    const facts = { name, type, owner, epoch, isolation, pid, ...(labels && { labels }) };
    const { clock } = this.#options.endpoint;
    const fresh = actor.host?.figures ?? (await this.#askProcess(actor));
    if (fresh !== undefined) this.#figures.set(actor, { at: clock.now(), figures: fresh });
    const last = this.#figures.get(actor);
    if (last === undefined) return facts;
    return { ...facts, figures: last.figures, figuresAgeMs: Math.round(clock.now() - last.at) };
  }

  /** What the actor's process counted, or undefined when it is too busy to say. */
  async #askProcess({ child }: HostedActor): Promise<ActorFigures | undefined> {
    if (child === undefined) return undefined;
    const { endpoint } = this.#options;
    const subject = subjects.process(endpoint.namespace, child.processId);
    const parcel = { bytes: encodeMessage({ kind: 'inspect', eventsMax: 0 }) };
    const timeoutMs = FIGURES_TIMEOUT_MS;
    try {
      const answer = await requestControl(endpoint, subject, 'inspection', parcel, { timeoutMs });
      return parseActorFigures(await openCarried(endpoint.bus, answer, { timeoutMs }));
    } catch {
      return undefined;
    }
  }

  #describeOwned(actor: OwnedActor): OwnedFacts {
    const { status, epoch, nodeId: node, pid, restarts, detached, changedAt, cause } = actor;
    const sinceMs = Math.round(this.#options.endpoint.clock.now() - changedAt);
    const { name, type, owner } = actor.address;
    const facts = { name, type, owner, detached, status, epoch, node, pid, restarts, sinceMs };
    const nodeName = this.#options.membership.nameOf(node);
    return {
      ...facts,
      ...(nodeName !== node && { nodeName }),
      ...(actor.plan.labels && { labels: actor.plan.labels }),
      ...(cause && { cause }),
    };
  }
}

function listLargest(objects: readonly ObjectFacts[]): readonly InspectedObject[] {
  const counted = objects.map((facts) => ({ ...facts, holders: facts.holders.length }));
  return counted.sort((a, b) => b.bytes - a.bytes);
}

/** All that live and those that died last. What another node has taken over is that one's to tell. */
function listTold(actors: readonly OwnedActor[]): readonly OwnedActor[] {
  const owned = actors.filter(({ released }) => !released);
  const dead = owned.filter(({ status }) => status === 'dead');
  dead.sort((a, b) => b.changedAt - a.changedAt);
  const told = new Set(dead.slice(0, DEAD_ACTORS_TOLD));
  return owned.filter((actor) => actor.status !== 'dead' || told.has(actor));
}
