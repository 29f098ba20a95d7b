import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const program = fileURLToPath(new URL('simulate.ts', import.meta.url));

function simulate(...args: readonly string[]) {
  return spawnSync(process.execPath, [program, ...args], { encoding: 'utf8', timeout: 60_000 });
}

for (const args of [['--sedes', '5'], ['--seeds', 'x'], ['--seeds'], ['5']]) {
  test(`simulate refuses ${args.join(' ')} in words`, (t) => {
    const { status, stderr } = simulate(...args);
    t.is(status, 2);
    t.true(stderr.includes(args[0] as string), stderr);
    t.regex(stderr, /--seeds N +scenarios to run/);
    t.notRegex(stderr, /^ +at /m);
  });
}

test('simulate says what it can', (t) => {
  const { status, stdout } = simulate('--help');
  t.is(status, 0);
  t.regex(stdout, /^npm run simulate -- .*--seeds N/);
});
