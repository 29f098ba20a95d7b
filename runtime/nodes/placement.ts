import type { Resources } from '../wire/wire.ts';

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
}

export interface PlacementRequest {
  readonly type: string;
  /** The only node that will do. */
  readonly nodeId?: string;
  /** `spread`: where fewest actors of this owner live; `pack`: here first, then where most do. */
  readonly placement: 'spread' | 'pack';
  readonly resources: Resources;
}

export interface Placement {
  /** Those that can take the actor, best first. */
  readonly nodes: readonly NodeInfo[];
  /** Why each of the others can't. */
  readonly reasons: readonly string[];
}

/** Ranks the nodes for an actor. `ownActorsOn` counts the owner's actors on a node. */
export function rankNodes(
  request: PlacementRequest,
  nodes: readonly NodeInfo[],
  ownActorsOn: (nodeId: string) => number,
): Placement {
  const able: NodeInfo[] = [];
  const reasons: string[] = [];
  for (const node of nodes) {
    const refusal = refusalOf(request, node);
    if (refusal === undefined) able.push(node);
    else reasons.push(`node ${node.nodeName} (${node.nodeId}) ${refusal}`);
  }
  if (request.nodeId !== undefined && !nodes.some(({ nodeId }) => nodeId === request.nodeId)) {
    reasons.push(`no node ${request.nodeId} is known; is it up, and in this namespace?`);
  }
  const direction = request.placement === 'spread' ? 1 : -1;
  able.sort((a, b) => {
    if (request.placement === 'pack' && a.self !== b.self) return a.self ? -1 : 1;
    const fewer = ownActorsOn(a.nodeId) - ownActorsOn(b.nodeId);
    if (fewer !== 0) return fewer * direction;
    // Equally loaded: this node first, then by name, so that a plan repeats.
    if (a.self !== b.self) return a.self ? -1 : 1;
    return a.nodeName < b.nodeName || (a.nodeName === b.nodeName && a.nodeId < b.nodeId) ? -1 : 1;
  });
  return { nodes: able, reasons };
}

function refusalOf(request: PlacementRequest, node: NodeInfo): string | undefined {
  if (request.nodeId !== undefined && node.nodeId !== request.nodeId) {
    return `is not the required node ${request.nodeId}`;
  }
  if (!node.self && !node.actorTypes.includes(request.type)) {
    const known = node.actorTypes.join(', ') || 'none';
    return `was started without a module for actor type ${request.type} (it has: ${known})`;
  }
  const refusal = checkFree(request.resources, node.free);
  return refusal && `has ${refusal}`;
}

/** What is missing, or undefined when `wanted` fits into `free`. */
export function checkFree(wanted: Resources, free: Resources): string | undefined {
  const { cpu = 0, memoryBytes = 0 } = wanted;
  if (cpu > (free.cpu ?? 0)) return `${free.cpu ?? 0} cpu free, ${cpu} wanted`;
  if (memoryBytes > (free.memoryBytes ?? 0)) {
    return `${free.memoryBytes ?? 0} bytes of memory free, ${memoryBytes} wanted`;
  }
  return undefined;
}

export function freeResources(total: Resources, used: readonly Resources[]): Resources {
  let { cpu = 0, memoryBytes = 0 } = total;
  for (const part of used) {
    cpu -= part.cpu ?? 0;
    memoryBytes -= part.memoryBytes ?? 0;
  }
  return { cpu, memoryBytes };
}
