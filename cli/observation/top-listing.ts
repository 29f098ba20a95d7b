import { type ActorOverview, type Inspection, listActors } from '../../runtime/index.ts';
import { formatBytes, formatCount, formatNumber } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import { actorListing } from './actor-listing.ts';
import type { InspectionListing } from './inspection-source.ts';

/** What a living actor did since the look before; absent at the first look and in its first moments. */
export interface TopRow extends ActorOverview {
  /** Share of one processor, 0 to 1 and more. */
  readonly cpuShare?: number;
  readonly callsPerSecond?: number;
  readonly receivedBytesPerSecond?: number;
  readonly sentBytesPerSecond?: number;
}

interface Look {
  readonly atMs: number;
  readonly actors: ReadonlyMap<string, ActorOverview>;
}

const columns: readonly Column<TopRow>[] = [
  { title: 'actor', text: ({ name }) => name },
  { title: 'type', text: ({ actorType }) => actorType },
  { title: 'node', text: ({ node }) => node },
  { title: 'pid', align: 'right', text: ({ pid }) => String(pid) },
  { title: 'cpu %', align: 'right', text: ({ cpuShare }) => formatShare(cpuShare) },
  { title: 'memory', align: 'right', text: ({ rssBytes }) => formatBytes(rssBytes) },
  { title: 'calls/s', align: 'right', text: ({ callsPerSecond }) => formatCount(callsPerSecond) },
  { title: 'waiting', align: 'right', text: ({ waiting }) => formatCount(waiting) },
  { title: 'in/s', align: 'right', text: (row) => formatBytes(row.receivedBytesPerSecond) },
  { title: 'out/s', align: 'right', text: (row) => formatBytes(row.sentBytesPerSecond) },
];

/** The living actors, the busiest first. */
export const topListing: InspectionListing<TopRow> = {
  type: 'actor',
  of: 'actors',
  compares: true,
  keys: actorListing.keys,
  titles: { actor: 'name', type: 'actorType' },
  columns,
  createReader() {
    let before: Look | undefined;
    return (inspection: Inspection, nowMs: number) => {
      const living = listActors(inspection).filter(({ status }) => status !== 'dead');
      const actors = new Map(living.map((actor) => [keyOf(actor), actor]));
      const rows = living.map((actor) => addRates(actor, nowMs, before));
      before = { atMs: nowMs, actors };
      return rows.sort(byActivity);
    };
  },
  notes: () => [],
};

function addRates(actor: ActorOverview, nowMs: number, before: Look | undefined): TopRow {
  const last = before?.actors.get(keyOf(actor));
  const elapsedMs = nowMs - (before?.atMs ?? nowMs);
  if (last?.done === undefined || actor.done === undefined || elapsedMs <= 0) return actor;
  const perSecond = (now = 0, then = 0): number => ((now - then) * 1000) / elapsedMs;
  return {
    ...actor,
    ...(actor.cpuMs !== undefined && { cpuShare: perSecond(actor.cpuMs, last.cpuMs) / 1000 }),
    callsPerSecond: perSecond(actor.done, last.done),
    receivedBytesPerSecond: Math.round(perSecond(actor.receivedBytes, last.receivedBytes)),
    sentBytesPerSecond: Math.round(perSecond(actor.sentBytes, last.sentBytes)),
  };
}

function byActivity(a: TopRow, b: TopRow): number {
  const busier = (b.cpuShare ?? 0) - (a.cpuShare ?? 0);
  return busier !== 0 ? busier : (b.callsPerSecond ?? 0) - (a.callsPerSecond ?? 0);
}

/** One life of an actor: the figures of the next one begin at zero. */
function keyOf({ name, ownerId, epoch }: ActorOverview): string {
  return `${name} ${ownerId} ${epoch}`;
}

function formatShare(share: number | undefined): string {
  return formatNumber(share === undefined ? undefined : share * 100, 1);
}
