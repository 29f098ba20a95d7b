import test from 'ava';
import { parseAssignment, parseJobOptions } from '../../cli/jobs/job-options.ts';
import job from '../../examples/lm-codistill.ts';
import { createSystem, systemClock } from '../../runtime/index.ts';
import { makeFolder } from '../cli/actorctl-process.ts';
import { smallOptions, writeSmallText } from './small-run.ts';

test('a disk that is full at the snapshots ends training instead of letting replicas wait for each other', async (t) => {
  // What was borne as a passing failure, or waited for, would take ten minutes.
  t.timeout(120_000);
  await using folder = await makeFolder();
  const text = await writeSmallText(folder.path);
  let saved = 0;
  await using system = await createSystem({
    bus: 'local',
    modules: job.modules,
    checkpoints: {
      async save(actor) {
        if (!actor.endsWith('-snapshot')) return;
        saved += 1;
        if (saved > 4) throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
      },
      load: async () => undefined,
    },
  });
  const settings = Object.entries({ ...smallOptions, data: text, patienceMs: 600_000 });
  const assignments = settings.map(([key, value]) => parseAssignment(`${key}=${value}`));
  const training = job.run({
    system,
    options: parseJobOptions(job, assignments) as Parameters<typeof job.run>[0]['options'],
    runDirectory: folder.path,
    resumed: false,
    signal: new AbortController().signal,
    emit() {},
    clock: systemClock,
    now: () => 0,
  });
  await t.throwsAsync(training, { message: 'no space left' });
});
