import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

test('the native library keeps no identifier of the user and has nothing to send', async (t) => {
  const home = await mkdtemp(join(tmpdir(), 'codistill-home-'));
  t.teardown(() => rm(home, { recursive: true }));
  const script = fileURLToPath(new URL('fixtures/run-native-step.ts', import.meta.url));
  // Where these are set the library is silent of itself.
  const { CI, GITHUB_ACTIONS, TF_BUILD, ORT_RUNNING_UNIT_TESTS, ORT_DISABLE_TELEMETRY, ...rest } =
    process.env;
  const environment = { ...rest, HOME: home, XDG_CACHE_HOME: join(home, '.cache') };
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env: environment });
  t.is(stdout, '1\n');
  const files = await readdir(home, { recursive: true });
  t.deepEqual(
    files.filter((name) => /onnxruntime|Microsoft/i.test(name)),
    [],
  );
});
