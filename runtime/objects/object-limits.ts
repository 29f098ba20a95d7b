import { totalmem } from 'node:os';
import type { Bus } from '../bus/bus.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { chunkBytesOn } from '../wire/chunks.ts';
import { ObjectStore } from './object-store.ts';
import { SpillFolder } from './spill-folder.ts';

const MEMORY_SHARE = 0.3;
const DISK_TIMES_MEMORY = 4;

/** What a node's object store may take. */
export interface ObjectLimits {
  /** Of its objects, its copies of other nodes' and what is being put. Default 30 % of the memory. */
  readonly memoryBytesMax?: number;
  /** Of the files of objects that memory has no room for. Default four times as much as memory. */
  readonly diskBytesMax?: number;
  /** Where those files go, in a folder of their own. Default the system's temporary folder. */
  readonly spillFolder?: string;
}

export interface ObjectPlan {
  readonly limits: ObjectLimits;
  /** A word that is new for each life of the node: its hub's, where it has one. */
  readonly word: string;
  /** What carries objects within the host, where that is not the bus itself. */
  readonly hub?: Bus;
}

export function openStore(endpoint: Endpoint, { limits, word }: ObjectPlan): ObjectStore {
  const { bus, clock, nodeId, link } = endpoint;
  const memoryBytesMax = limits.memoryBytesMax ?? Math.floor(totalmem() * MEMORY_SHARE);
  const diskBytesMax = limits.diskBytesMax ?? memoryBytesMax * DISK_TIMES_MEMORY;
  return new ObjectStore({
    nodeId,
    clock,
    word,
    memoryBytesMax,
    diskBytesMax,
    chunkBytes: chunkBytesOn(bus),
    folder: new SpillFolder(limits.spillFolder),
    heardSince: () => (link.connected ? link.connectedSince : undefined),
  });
}
