import { readFile } from 'node:fs/promises';
import test from 'ava';
import { exitCodeMeanings } from '../../cli/exit-codes.ts';
import { actorctl, countingJob, makeFolder } from './actorctl-process.ts';

test('every command has help with examples', async (t) => {
  await using folder = await makeFolder();
  const whole = await actorctl(['--help'], folder.path);
  t.is(whole.exitCode, 0);
  for (const command of ['run', 'resume', 'node', 'up', 'doctor']) {
    t.regex(whole.stdout, new RegExp(`^ {2}${command}\\b`, 'm'));
    const { exitCode, stdout } = await actorctl([command, '--help'], folder.path);
    t.is(exitCode, 0);
    t.regex(stdout, /Examples:\n {2}actorctl /);
    t.regex(stdout, /--json/);
  }
});

test('help after a job lists its options', async (t) => {
  await using folder = await makeFolder();
  const { exitCode, stdout } = await actorctl(['run', countingJob, '--help'], folder.path);
  t.is(exitCode, 0);
  t.regex(stdout, /counting: Count steps\.\nOptions for --set:\n/);
  t.regex(stdout, /^ {2}steps +how far; a whole number from 1 to 1000000 \(default 5\)$/m);
});

test('--version is that of the package', async (t) => {
  await using folder = await makeFolder();
  const { exitCode, stdout } = await actorctl(['--version'], folder.path);
  const manifest = JSON.parse(
    await readFile(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  t.is(exitCode, 0);
  t.is(stdout, `${manifest.version}\n`);
});

test('the README lists the exit codes', async (t) => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  for (const [code] of exitCodeMeanings) t.regex(readme, new RegExp(`^\\| ${code} \\|`, 'm'));
});
