import type { JobRecord } from '../../runtime/index.ts';
import { formatCount, formatDuration } from '../output/quantity.ts';
import type { Column } from '../output/table.ts';
import type { Listing } from './listing.ts';

const keys = [
  'id',
  'job',
  'state',
  'lives',
  'submittedAt',
  'endedAt',
  'options',
  'error',
] as const satisfies readonly (keyof JobRecord)[];

const columns: readonly Column<JobRecord>[] = [
  { title: 'name', text: ({ id }) => id },
  { title: 'job', text: ({ job }) => job },
  { title: 'state', text: (record) => describeState(record) },
  { title: 'submitted (UTC)', text: ({ submittedAt }) => formatTime(submittedAt) },
  { title: 'took', align: 'right', text: (record) => formatDuration(tookMs(record)) },
  { title: 'lives', align: 'right', text: ({ lives }) => formatCount(lives) },
];

/** Submitted jobs, the first one first, with why those failed that did. */
export const jobListing: Listing<JobRecord> = {
  type: 'job',
  keys,
  titles: { name: 'id' },
  columns,
  notes: (jobs) => jobs.flatMap((job) => describeFailure(job) ?? []),
};

function describeState({ state, stopAsked }: JobRecord): string {
  return state === 'running' && stopAsked ? 'stopping' : state;
}

/** Of one that is over, by the clocks of the hosts that ran it. */
function tookMs({ submittedAt, endedAt }: JobRecord): number | undefined {
  return endedAt === undefined ? undefined : endedAt - submittedAt;
}

function formatTime(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}

function describeFailure({ id, error }: JobRecord): string | undefined {
  return error && `${id} failed: ${error.message}`;
}
