import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';

const programs = { simulate: 'simulate.ts', prove: 'prove.ts', chaos: '../chaos/main.ts' } as const;
const wrong = [
  ['simulate', '--sedes', '5'],
  ['simulate', '--seeds', 'x'],
  ['simulate', '--seeds', '0'],
  ['simulate', '--seeds'],
  ['simulate', '5'],
  ['prove', '--only', 'no such breakage'],
  ['chaos', '--minutes', '0'],
  ['chaos', '--seed', '1.5'],
  ['chaos', '--sead', '1'],
] as const;

function run(program: keyof typeof programs, ...args: readonly string[]) {
  const path = fileURLToPath(new URL(programs[program], import.meta.url));
  return spawnSync(process.execPath, [path, ...args], { encoding: 'utf8', timeout: 60_000 });
}

for (const [program, option, ...rest] of wrong) {
  test(`${program} refuses ${[option, ...rest].join(' ')} in words`, (t) => {
    const { status, stderr } = run(program, option, ...rest);
    t.is(status, 2);
    t.true(stderr.includes(option), stderr);
    t.regex(stderr, /--help +print this/);
    t.notRegex(stderr, /^ +at /m);
  });
}

for (const program of ['simulate', 'prove', 'chaos'] as const) {
  test(`${program} says what it can`, (t) => {
    const { status, stdout } = run(program, '--help');
    t.is(status, 0);
    t.regex(stdout, /^(npm run|node test).* \[--seeds? [NS]\]|\[--minutes N\]/);
  });
}
