import { type ActorOverview, describeLabels, listActors } from '../../runtime/index.ts';
import { formatBytes, formatCount, formatDuration } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import type { InspectionListing } from './inspection-source.ts';

/** Shown below the table; the rest is counted. */
const deathsMax = 10;

const keys = [
  'name',
  'scope',
  'actorType',
  'status',
  'epoch',
  'node',
  'nodeId',
  'owner',
  'ownerId',
  'pid',
  'isolation',
  'detached',
  'labels',
  'restarts',
  'waiting',
  'done',
  'failed',
  'cause',
] as const satisfies readonly (keyof ActorOverview)[];

const columns: readonly Column<ActorOverview>[] = [
  { title: 'name', text: ({ name }) => name },
  { title: 'type', text: ({ actorType }) => actorType },
  { title: 'status', text: ({ status }) => status },
  { title: 'node', text: ({ node }) => node },
  { title: 'pid', align: 'right', text: ({ pid }) => (pid === 0 ? '–' : String(pid)) },
  { title: 'up', align: 'right', text: ({ uptimeMs }) => formatDuration(uptimeMs) },
  { title: 'calls', align: 'right', text: ({ done }) => formatCount(done) },
  { title: 'failed', align: 'right', text: ({ failed }) => formatCount(failed) },
  { title: 'waiting', align: 'right', text: ({ waiting }) => formatCount(waiting) },
  { title: 'restarts', align: 'right', text: ({ restarts }) => formatCount(restarts) },
  { title: 'memory', align: 'right', text: ({ rssBytes }) => formatBytes(rssBytes) },
  { title: 'labels', text: ({ labels }) => describeLabels(labels) },
];

export const actorListing: InspectionListing<ActorOverview> = {
  type: 'actor',
  of: 'actors',
  keys,
  titles: { type: 'actorType', calls: 'done' },
  columns,
  createReader: () => listActors,
  notes: describeDeaths,
};

/** Why actors are dead or being restarted, the latest first. */
function describeDeaths(actors: readonly ActorOverview[]): readonly string[] {
  const ended = actors.filter(({ cause, status }) => cause !== undefined && status !== 'running');
  ended.sort((a, b) => (a.sinceMs ?? 0) - (b.sinceMs ?? 0));
  const told = ended.slice(0, deathsMax).map((actor) => {
    return `${actor.name} ${describeEnd(actor)} ${formatDuration(actor.sinceMs)} ago: ${actor.cause}`;
  });
  const rest = ended.length - told.length;
  return rest > 0 ? [...told, `… and ${rest} more; --filter status=dead --json shows all.`] : told;
}

function describeEnd({ status, nodeId }: ActorOverview): string {
  if (status !== 'dead') return 'is being restarted; it died';
  return nodeId === '' ? 'could not start' : 'died';
}
