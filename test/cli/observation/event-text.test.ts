import test from 'ava';
import { describeLoggedEvent, describeTotals } from '../../../cli/observation/event-text.ts';
import { emptyProgress } from '../../../cli/output/progress.ts';

const at = new Date('2026-11-24T14:15:16.789Z');
const cause = { kind: 'exit', exitCode: 7, message: 'its process exited', lastOutput: [] };

test('a line of a log has its time, and a cause in its own words', (t) => {
  const died = { type: 'actor', event: 'died', actor: 'one/tally', cause };
  const lines = [
    { ...died },
    { ...died, cause: { ...cause, kind: 'stopped', message: 'it was stopped' } },
    { type: 'own', cause, place: { zone: 'attic' } },
    { type: 'run', job: 'mine', node: 'n5f70', nodeName: 'cellar' },
    { type: 'warning', message: 'slow' },
  ].map((event) => describeLoggedEvent({ at, event }));
  t.deepEqual(lines, [
    '2026-11-24T14:15:16Z  one/tally died: its process exited',
    '2026-11-24T14:15:16Z  actor event=died actor=one/tally cause=it was stopped',
    '2026-11-24T14:15:16Z  own cause=its process exited place={"zone":"attic"}',
    '2026-11-24T14:15:16Z  run job=mine node=cellar',
    '2026-11-24T14:15:16Z  warning: slow',
  ]);
});

test('one restart is no restarts', (t) => {
  const [one, two] = [1, 2].map((restarts) => describeTotals({ ...emptyProgress, restarts }));
  t.regex(one!, /1 restart$/);
  t.regex(two!, /2 restarts$/);
});
