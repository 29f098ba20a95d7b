import type { Inspection } from '../../runtime/index.ts';
import type { CommandEnvironment } from '../output/output.ts';
import { type ObservationFlags, observeBus } from './bus-observation.ts';
import type { Gap, Listing, RowSource } from './listing.ts';

/** A listing of what nodes tell when they are asked. */
export interface InspectionListing<Row extends object> extends Listing<Row> {
  /** Called once per command, so that the rows of one look may depend on those of the one before. */
  createReader(): (inspection: Inspection, nowMs: number) => readonly Row[];
  /** Which of what a node tells is cut when it is too much; `nodes` for nothing. */
  readonly of: 'nodes' | 'actors' | 'objects';
}

export async function openInspectionSource<Row extends object>(
  listing: InspectionListing<Row>,
  flags: ObservationFlags,
  { cwd, now }: CommandEnvironment,
): Promise<RowSource<Row>> {
  const { observer, place, ...observation } = await observeBus(flags, cwd);
  const read = listing.createReader();
  return {
    place,
    async look() {
      const inspection = await observer.inspect();
      return { rows: read(inspection, now()), gaps: describeGaps(inspection, listing.of) };
    },
    [Symbol.asyncDispose]: () => observation[Symbol.asyncDispose](),
  };
}

/** Silent nodes are rows among nodes; elsewhere what they have is missing. */
function describeGaps(
  { nodes, silent }: Inspection,
  of: InspectionListing<object>['of'],
): readonly Gap[] {
  if (of === 'nodes') return [];
  const missing = silent.map(({ nodeId, nodeName, reason }): Gap => {
    const text = `Nothing is known of the ${of} of ${nodeName} (${nodeId}): ${reason}.`;
    return { text, event: { type: 'silent', nodeId, nodeName, reason } };
  });
  const count = (node: Inspection['nodes'][number]): number =>
    of === 'actors' ? node.omittedActors : node.omittedObjects;
  const omitted = nodes.reduce((sum, node) => sum + count(node), 0);
  if (omitted === 0) return missing;
  const text = `${omitted} more ${of} were left out: a node tells of so many and no more.`;
  return [...missing, { text, event: { type: 'omitted', of, count: omitted } }];
}
