import test from 'ava';
import { actorListing } from '../../../cli/observation/actor-listing.ts';
import { jobListing } from '../../../cli/observation/job-listing.ts';
import { type NodeRow, nodeListing } from '../../../cli/observation/node-listing.ts';
import { topListing } from '../../../cli/observation/top-listing.ts';
import { formatTable } from '../../../cli/output/table.ts';
import type { ActorOverview, Inspection, NodeInspection } from '../../../runtime/index.ts';

test('a node shows what is free of everything that it offers', (t) => {
  const row: NodeRow = {
    nodeId: 'n1',
    nodeName: 'attic',
    status: 'up',
    resources: { cpu: 4, gpu: 1, memoryBytes: 8e9, custom: { licence: 2 } },
    free: { cpu: 1.5, gpu: 0, memoryBytes: 6e9, custom: { licence: 1 } },
    labels: { zone: 'roof' },
  };
  const silent: NodeRow = { nodeId: 'n2', nodeName: 'cellar', status: 'silent', reason: 'gone' };
  const lines = formatTable(nodeListing.columns, [row, silent]).split('\n');
  t.regex(lines[1]!, /1\.5 of 4 cpu, 0 of 1 gpu, 1 of 2 licence, 6\.0 GB of memory .* zone=roof$/);
  t.regex(lines[2]!, /^cellar +n2 +silent/);
  t.deepEqual(nodeListing.notes([row, silent]), ['node cellar (n2) is silent: gone']);
});

const actor: ActorOverview = {
  name: 'a',
  actorType: 'test/a',
  status: 'running',
  epoch: 1,
  node: 'attic',
  nodeId: 'n1',
  owner: 'attic',
  ownerId: 'n1',
  pid: 7,
};

test('deaths are told the latest first, and only of those that are not back', (t) => {
  const cause = 'its process exited with code 7';
  const notes = actorListing.notes([
    { ...actor, name: 'back', sinceMs: 1, cause },
    { ...actor, name: 'old', status: 'dead', sinceMs: 3_600_000, cause },
    { ...actor, name: 'new', status: 'restarting', sinceMs: 2_000, cause },
    { ...actor, name: 'never', nodeId: '', status: 'dead', sinceMs: 60_000, cause: 'no node' },
  ]);
  t.deepEqual(notes, [
    'new is being restarted; it died 2 s ago: its process exited with code 7',
    'never could not start 1 min 00 s ago: no node',
    'old died 1 h 00 min ago: its process exited with code 7',
  ]);
});

test('more than ten deaths are counted', (t) => {
  const dead = Array.from({ length: 12 }, (_, index) => {
    return { ...actor, name: `a${index}`, status: 'dead', sinceMs: index, cause: 'x' } as const;
  });
  const notes = actorListing.notes(dead);
  t.is(notes.length, 11);
  t.regex(notes[10]!, /… and 2 more/);
});

test('what an actor did between two looks is its activity, busiest first', (t) => {
  const figures = { uptimeMs: 0, waiting: 0, failed: 0, ranMs: 0, durations: [], sentBytes: 0 };
  const look = (calls: readonly (readonly [name: string, done: number, cpuMs: number])[]) => {
    const hosted = calls.map(([name, done, cpuMs]) => ({
      name,
      type: 'test/a',
      owner: 'n1',
      epoch: 1,
      isolation: 'process' as const,
      pid: 7,
      figures: { ...figures, done, cpuMs, receivedBytes: done * 10 },
    }));
    const node = { nodeId: 'n1', nodeName: 'attic', hosted, owned: [] };
    return { nodes: [node as unknown as NodeInspection], silent: [] } satisfies Inspection;
  };
  const read = topListing.createReader();
  const first = read(
    look([
      ['idle', 5, 100],
      ['busy', 0, 0],
    ]),
    1_000,
  );
  t.deepEqual(
    first.map(({ cpuShare }) => cpuShare),
    [undefined, undefined],
  );
  const second = read(
    look([
      ['idle', 5, 100],
      ['busy', 50, 1_500],
      ['young', 1, 1],
    ]),
    3_000,
  );
  t.deepEqual(
    second.map(({ name, cpuShare, callsPerSecond }) => [name, cpuShare, callsPerSecond]),
    [
      ['busy', 0.75, 25],
      ['idle', 0, 0],
      ['young', undefined, undefined],
    ],
  );
  t.is(second[0]!.receivedBytesPerSecond, 250);
});

test('jobs show how long they took, and why those failed that did', (t) => {
  const job = { job: 'count', options: {}, submittedAt: 0, lives: 1 } as const;
  const error = { message: 'the job broke' };
  const rows = [
    { ...job, id: 'a', state: 'running', stopAsked: true },
    { ...job, id: 'b', state: 'failed', endedAt: 61_000, lives: 2, error },
  ] as const;
  const lines = formatTable(jobListing.columns, rows).split('\n');
  t.regex(lines[1]!, /^a +count +stopping +1970-01-01 00:00:00 +– +1$/);
  t.regex(lines[2]!, /^b +count +failed +1970-01-01 00:00:00 +1 min 01 s +2$/);
  t.deepEqual(jobListing.notes(rows), ['b failed: the job broke']);
});
