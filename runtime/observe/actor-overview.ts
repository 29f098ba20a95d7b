import { scopeOf } from '../nodes/name-scope.ts';
import { incarnationOf } from '../wire/address.ts';
import type { ActorFigures, HostedFacts, NodeInspection, OwnedFacts } from './inspection.ts';
import type { Inspection } from './observer.ts';

/** What is known of an actor from the node that owns it and the one that it lives on. */
export interface ActorOverview extends Partial<ActorFigures> {
  readonly name: string;
  /** Of its name: the job that it belongs to, if it was submitted. */
  readonly scope?: string;
  readonly actorType: string;
  /** `outdated`: an earlier life that its owner has replaced and that has not ended yet. */
  readonly status: 'running' | 'moving' | 'restarting' | 'dead' | 'outdated';
  readonly epoch: number;
  /**
   * Names for people, and ids. A node that nobody names goes by its id. The owner of a detached actor
   * is the node that answers for it now.
   */
  readonly node: string;
  readonly nodeId: string;
  readonly owner: string;
  readonly ownerId: string;
  readonly pid: number;
  readonly isolation?: 'process' | 'inline';
  readonly labels?: Readonly<Record<string, string>>;
  readonly restarts?: number;
  /** It outlives the node that answers for it. */
  readonly detached?: boolean;
  /** How old the figures are. */
  readonly figuresAgeMs?: number;
  /** How long it has had its status. */
  readonly sinceMs?: number;
  /** Of its last death, in one sentence. */
  readonly cause?: string;
  readonly lastOutput?: readonly string[];
}

/** By name; what a silent owner or host would have told is absent. */
export function listActors({ nodes, silent }: Inspection): readonly ActorOverview[] {
  const names = new Map([...nodes, ...silent].map(({ nodeId, nodeName }) => [nodeId, nodeName]));
  const nameOf = (nodeId: string): string => names.get(nodeId) ?? nodeId;
  const hosted = new Map<string, { readonly facts: HostedFacts; readonly host: NodeInspection }>();
  for (const host of nodes) {
    for (const facts of host.hosted) {
      hosted.set(incarnationOf(facts.owner, facts.name, facts.epoch), { facts, host });
    }
  }
  const owners = new Set(nodes.map(({ nodeId }) => nodeId));
  const actors: ActorOverview[] = [];
  for (const owner of nodes) {
    for (const facts of owner.owned) {
      owners.add(facts.owner);
      const incarnation = incarnationOf(facts.owner, facts.name, facts.epoch);
      const found = facts.status === 'dead' ? undefined : hosted.get(incarnation);
      hosted.delete(incarnation);
      // Of a node that is gone its owner may know the name.
      const node = names.get(facts.node) ?? facts.nodeName ?? facts.node;
      const places = { owner: owner.nodeName, ownerId: owner.nodeId, node };
      actors.push({ ...ownedPart(facts), ...places, ...hostedPart(found?.facts) });
    }
  }
  for (const { facts, host } of hosted.values()) {
    const { name, type: actorType, epoch, owner, pid } = facts;
    // An owner that answers but doesn't list this life has replaced it.
    const status = owners.has(owner) ? 'outdated' : 'running';
    const places = {
      node: host.nodeName,
      nodeId: host.nodeId,
      owner: nameOf(owner),
      ownerId: owner,
    };
    actors.push({ name, actorType, status, epoch, pid, ...places, ...hostedPart(facts) });
  }
  const scoped = actors.map(addScope);
  return scoped.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.epoch - b.epoch));
}

function addScope(actor: ActorOverview): ActorOverview {
  const scope = scopeOf(actor.name);
  return scope === undefined ? actor : { ...actor, scope };
}

function ownedPart({ node, nodeName: _name, type, owner: _, cause, ...facts }: OwnedFacts) {
  return {
    ...facts,
    actorType: type,
    nodeId: node,
    ...(cause && { cause: cause.message, lastOutput: cause.lastOutput }),
  };
}

function hostedPart(facts: HostedFacts | undefined) {
  if (facts === undefined) return {};
  const { isolation, labels, figures, figuresAgeMs } = facts;
  return {
    isolation,
    ...(labels && { labels }),
    ...figures,
    ...(figuresAgeMs !== undefined && { figuresAgeMs }),
  };
}
