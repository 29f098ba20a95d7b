import { missingResource, type Resources } from '../wire/resources.ts';

/** A node as seen from here. */
export interface NodeInfo {
  readonly nodeId: string;
  /** For people; need not be unique. */
  readonly nodeName: string;
  readonly pid: number;
  readonly self: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly resources: Resources;
  readonly free: Resources;
  /** What it can instantiate. */
  readonly actorTypes: readonly string[];
  readonly actors: number;
  /** It takes no new actors: it is about to leave. */
  readonly draining: boolean;
}

export type Labels = Readonly<Record<string, string>>;

export interface PlacementRules {
  /**
   * Among the nodes that will do: `pack` prefers this node, then the one with most actors of this
   * system, `spread` the one with fewest. Default `pack`.
   */
  readonly strategy?: PlacementStrategy;
  /** The only node that will do. */
  readonly nodeId?: string;
  /** A handle: only the node will do on which that actor lives whenever this one is started. */
  readonly beside?: object;
  /** Only nodes will do on which another actor of this system lives that has all of these labels. */
  readonly besideLabels?: Labels;
  /**
   * Only nodes will do on which no other actor of this system lives that has all of these labels. With
   * the actor's own labels: one on each node at most.
   */
  readonly apartFromLabels?: Labels;
  /** Only nodes will do that have all of these. */
  readonly requiredLabels?: Labels;
  /** Nodes that have more of these come before all others. */
  readonly preferredLabels?: Labels;
}

export type PlacementStrategy = 'spread' | 'pack';

export interface PlacementRequest extends Omit<PlacementRules, 'beside'> {
  readonly type: string;
  readonly strategy: PlacementStrategy;
  readonly resources: Resources;
  /** Where the actor lives that this one has to be beside. */
  readonly beside?: { readonly actor: string; readonly nodeId: string };
}

export interface Placement {
  /** Those that can take the actor, best first. */
  readonly nodes: readonly NodeInfo[];
  /** Why the others can't. */
  readonly refusals: readonly Refusal[];
}

/** Why a node can't take an actor, as the rest of a sentence about it; without a node a whole sentence. */
export interface Refusal {
  readonly node?: NodeInfo;
  readonly reason: string;
}

/** Nodes that are named of those that refuse for one reason, and reasons that are told at all. */
const NAMED_MAX = 3;
const REASONS_MAX = 20;

/** The actors of the owner that wants a place for one. */
export interface OwnActors {
  countOn(nodeId: string): number;
  /** Whether one that has all of these labels lives on the node, besides the one that is to be placed. */
  isLabelledOn(nodeId: string, labels: Labels): boolean;
}

/** Ranks the nodes for an actor. */
export function rankNodes(
  request: PlacementRequest,
  nodes: readonly NodeInfo[],
  ownActors: OwnActors,
): Placement {
  const able: NodeInfo[] = [];
  const refusals: Refusal[] = [];
  for (const node of nodes) {
    const reason = refusalOf(request, node, ownActors);
    if (reason === undefined) able.push(node);
    else refusals.push({ node, reason });
  }
  if (request.nodeId !== undefined && !nodes.some(({ nodeId }) => nodeId === request.nodeId)) {
    const reason = `no node ${request.nodeId} is known; is it up, and in this namespace?`;
    refusals.push({ reason });
  }
  const { strategy, preferredLabels = {} } = request;
  const direction = strategy === 'spread' ? 1 : -1;
  const own = new Map(able.map(({ nodeId }) => [nodeId, ownActors.countOn(nodeId)]));
  able.sort((a, b) => {
    const liked = labelsHad(preferredLabels, b) - labelsHad(preferredLabels, a);
    if (liked !== 0) return liked;
    if (strategy === 'pack' && a.self !== b.self) return a.self ? -1 : 1;
    const fewer = own.get(a.nodeId)! - own.get(b.nodeId)!;
    if (fewer !== 0) return fewer * direction;
    // Equally loaded: this node first, then by name, so that a plan repeats.
    if (a.self !== b.self) return a.self ? -1 : 1;
    return a.nodeName < b.nodeName || (a.nodeName === b.nodeName && a.nodeId < b.nodeId) ? -1 : 1;
  });
  return { nodes: able, refusals };
}

/** No other node can come before this one, the best of those that are known. */
export function isUnsurpassed(
  { strategy, preferredLabels = {} }: PlacementRequest,
  best: NodeInfo | undefined,
  ownActors: OwnActors,
): boolean {
  if (best === undefined) return false;
  if (labelsHad(preferredLabels, best) < Object.keys(preferredLabels).length) return false;
  return strategy === 'pack' || ownActors.countOn(best.nodeId) === 0;
}

/** All refusals as one text, in which nodes with the same reason are told together. */
export function describeRefusals(refusals: readonly Refusal[]): string {
  const byReason = Map.groupBy(refusals, ({ reason }) => reason);
  const texts = [...byReason].map(([reason, same]) => {
    const [first, ...others] = same.flatMap(({ node }) => node ?? []).map(nameOf);
    if (first === undefined) return reason;
    if (others.length === 0) return `node ${first} ${reason}`;
    const named = [first, ...others].slice(0, NAMED_MAX);
    const unnamed = others.length + 1 - named.length;
    const list = unnamed === 0 ? named.join(', ') : `${named.join(', ')} and ${unnamed} more`;
    return `nodes ${list}: each ${reason}`;
  });
  const untold = texts.length - REASONS_MAX;
  if (untold <= 1) return texts.join('; ');
  return [...texts.slice(0, REASONS_MAX), `and ${untold} more reasons`].join('; ');
}

function nameOf({ nodeName, nodeId }: NodeInfo): string {
  return `${nodeName} (${nodeId})`;
}

/** Why the node can't take the actor, as the rest of a sentence, or undefined when it can. */
export function refusalOf(
  request: PlacementRequest,
  node: NodeInfo,
  ownActors: OwnActors,
): string | undefined {
  if (node.draining) return 'is about to leave';
  if (request.nodeId !== undefined && node.nodeId !== request.nodeId) {
    return `is not the required node ${request.nodeId}`;
  }
  if (request.beside !== undefined && node.nodeId !== request.beside.nodeId) {
    return `is not where actor ${request.beside.actor} lives`;
  }
  const { besideLabels, apartFromLabels } = request;
  if (besideLabels !== undefined && !ownActors.isLabelledOn(node.nodeId, besideLabels)) {
    return `has no actor of this system with ${describeLabels(besideLabels)}`;
  }
  if (apartFromLabels !== undefined && ownActors.isLabelledOn(node.nodeId, apartFromLabels)) {
    return `has an actor of this system with ${describeLabels(apartFromLabels)} already`;
  }
  for (const [label, value] of Object.entries(request.requiredLabels ?? {})) {
    const found = Object.hasOwn(node.labels, label) ? node.labels[label] : undefined;
    if (found === value) continue;
    const has = found === undefined ? 'no such label' : `${label}=${found}`;
    return `has ${has}, ${label}=${value} is required`;
  }
  if (!node.self && !node.actorTypes.includes(request.type)) {
    const known = node.actorTypes.join(', ') || 'none';
    return `was started without a module for actor type ${request.type} (it has: ${known})`;
  }
  const refusal = missingResource(request.resources, node.free);
  return refusal && `has ${refusal}`;
}

/** How many of the labels the node has. */
function labelsHad(labels: Labels, node: NodeInfo): number {
  return Object.entries(labels).filter(([label, value]) => hasLabel(node.labels, label, value))
    .length;
}

/** Whether all that is wanted is there. */
export function hasLabels(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([label, value]) => hasLabel(labels, label, value));
}

function hasLabel(labels: Labels, label: string, value: string): boolean {
  return Object.hasOwn(labels, label) && labels[label] === value;
}

/** `zone=attic disk=ssd` */
export function describeLabels(labels: Labels = {}): string {
  return Object.entries(labels)
    .map(([label, value]) => `${label}=${value}`)
    .join(' ');
}
