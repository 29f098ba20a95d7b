import { describeLabels, type Inspection, type NodeInspection } from '../../runtime/index.ts';
import { formatBytes, formatCount, formatDuration } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import type { InspectionListing } from './inspection-source.ts';

/** A node as it says of itself, or one that others know and that is silent. */
export interface NodeRow
  extends Partial<Omit<NodeInspection, 'hosted' | 'owned' | 'objects' | 'events'>> {
  readonly nodeId: string;
  readonly nodeName: string;
  readonly status: 'up' | 'silent';
  /** Why it is silent. */
  readonly reason?: string;
  /** Actors that live on it, and that it owns. */
  readonly actors?: number;
  readonly ownedActors?: number;
  readonly objects?: number;
}

const keys = [
  'nodeId',
  'nodeName',
  'status',
  'pid',
  'protocol',
  'bus',
  'labels',
  'actors',
  'ownedActors',
  'objects',
] as const satisfies readonly (keyof NodeRow)[];

const columns: readonly Column<NodeRow>[] = [
  { title: 'node', text: ({ nodeName }) => nodeName },
  { title: 'id', text: ({ nodeId }) => nodeId },
  { title: 'status', text: ({ status }) => status },
  { title: 'pid', align: 'right', text: ({ pid }) => (pid === undefined ? '–' : String(pid)) },
  { title: 'up', align: 'right', text: ({ uptimeMs }) => formatDuration(uptimeMs) },
  { title: 'actors', align: 'right', text: ({ actors }) => formatCount(actors) },
  { title: 'owns', align: 'right', text: ({ ownedActors }) => formatCount(ownedActors) },
  { title: 'free', text: ({ free, resources }) => formatFree(free, resources) },
  { title: 'its memory', align: 'right', text: ({ rssBytes }) => formatBytes(rssBytes) },
  { title: 'labels', text: ({ labels }) => describeLabels(labels) },
];

export const nodeListing: InspectionListing<NodeRow> = {
  type: 'node',
  of: 'nodes',
  keys,
  titles: { node: 'nodeName', id: 'nodeId', owns: 'ownedActors' },
  columns,
  createReader: () => listNodes,
  notes: describeSilence,
};

function listNodes({ nodes, silent }: Inspection): readonly NodeRow[] {
  return [
    ...nodes.map(({ hosted, owned, objects, events: _, ...node }) => {
      const counts = {
        actors: hosted.length,
        ownedActors: owned.length,
        objects: objects.length + node.omittedObjects,
      };
      return { ...node, ...counts, status: 'up' } as const;
    }),
    ...silent.map((node) => ({ ...node, status: 'silent' }) as const),
  ];
}

/** Silent nodes, and those that nobody works with because they speak another version. */
function describeSilence(rows: readonly NodeRow[]): readonly string[] {
  const silent = rows.filter(({ status }) => status === 'silent');
  const refusals = new Set(rows.flatMap(({ refusals }) => refusals ?? []));
  return [
    ...silent.map(
      ({ nodeName, nodeId, reason }) => `node ${nodeName} (${nodeId}) is silent: ${reason}`,
    ),
    ...[...refusals].map((refusal) => `refused: ${refusal}`),
  ];
}

/** `1.5 of 2 cpu, 1 of 1 gpu, 25.3 GB of memory` */
function formatFree(free: NodeRow['free'], resources: NodeRow['resources']): string {
  if (free === undefined || resources === undefined) return '–';
  const { memoryBytes, custom, ...counts } = resources;
  const kinds = Object.entries({ ...counts, ...custom });
  const { custom: freeCustom, ...freeCounts } = free;
  const left: Readonly<Record<string, number | undefined>> = { ...freeCounts, ...freeCustom };
  const amounts = kinds.map(
    ([kind, all]) => `${Number((left[kind] ?? 0).toFixed(2))} of ${all} ${kind}`,
  );
  if (memoryBytes !== undefined) amounts.push(`${formatBytes(free.memoryBytes)} of memory`);
  return amounts.join(', ');
}
