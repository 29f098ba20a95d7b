import type { InspectedObject, Inspection } from '../../runtime/index.ts';
import { formatBytes, formatCount } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import type { InspectionListing } from './inspection-source.ts';

/** An object as one node has it: its own, or a copy of another node's. */
export interface ObjectRow extends InspectedObject {
  /** The node that tells. */
  readonly node: string;
  readonly nodeId: string;
  readonly copy: boolean;
}

const keys = [
  'id',
  'node',
  'nodeId',
  'owner',
  'copy',
  'where',
  'spilled',
  'bytes',
] as const satisfies readonly (keyof ObjectRow)[];

const columns: readonly Column<ObjectRow>[] = [
  { title: 'object', text: ({ id }) => id },
  { title: 'node', text: ({ node }) => node },
  { title: 'is', text: ({ copy, owner }) => (copy ? `a copy, of ${owner}` : 'its own') },
  { title: 'size', align: 'right', text: ({ bytes }) => formatBytes(bytes) },
  { title: 'where', text: ({ where, spilled }) => describePlace(where, spilled) },
  { title: 'holders', align: 'right', text: ({ holders }) => formatCount(holders) },
];

/** The largest objects of each node, the largest of all first. */
export const objectListing: InspectionListing<ObjectRow> = {
  type: 'object',
  of: 'objects',
  keys,
  titles: { object: 'id' },
  columns,
  createReader: () => listObjects,
  notes: () => [],
};

function listObjects({ nodes }: Inspection): readonly ObjectRow[] {
  const rows = nodes.flatMap(({ nodeId, nodeName: node, objects }) =>
    objects.map((object) => ({ ...object, node, nodeId, copy: object.owner !== nodeId })),
  );
  return rows.sort((a, b) => b.bytes - a.bytes);
}

function describePlace(where: ObjectRow['where'], spilled: boolean): string {
  return where === 'memory' && spilled ? 'memory and disk' : where;
}
