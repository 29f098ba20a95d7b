/** `node test/simulation/prove.ts`: breaks the runtime in a copy, one line at a time; see the help below. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readScriptOptions } from '../support/script-options.ts';
import { type Breakage, breakages } from './breakages.ts';

const HELP = `node test/simulation/prove.ts [--seeds N] [--only TEXT]

Breaks the runtime in a copy, one line at a time, and looks for the first seed whose simulation sees it.

  --seeds N    seeds to try for each; default 500
  --only TEXT  only those that have this in their name

  --help       print this

Ends with 0 when each was seen as the promise that it breaks, 1 when one was not, 2 for wrong options.`;

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Most are seen at once; a process for each seed would cost more than the seed. */
const STEP_MAX = 20;
const STEP_MS = 600_000;

interface Finding {
  readonly seed: number;
  readonly violation: string;
}

const options = readScriptOptions(HELP, { seeds: '500', only: '' });
const seedsMax = options.whole('seeds', 1);
const wanted = breakages.filter(({ name }) => name.includes(options.text('only')));
if (wanted.length === 0) options.refuse(`--only: no breakage has "${options.text('only')}"`);
let unseen = 0;
for (const breakage of wanted) {
  const found = prove(breakage);
  if (found === undefined) unseen += 1;
  const text = found === undefined ? `not seen in ${seedsMax} seeds` : inWords(found);
  console.log(`${breakage.name} (${breakage.file}): ${text}`);
}
process.exitCode = unseen === 0 ? 0 : 1;

function prove({ file, from, to, breaks }: Breakage): Finding | undefined {
  const copy = mkdtempSync(join(tmpdir(), 'codistill-broken-'));
  try {
    const listed = execFileSync('git', ['ls-files', '*.ts', '*.json'], { cwd: root });
    for (const path of listed.toString().trim().split('\n')) {
      if (/^(runtime|cli|test\/(simulation|support))\/|^[^/]+$/.test(path))
        cpSync(join(root, path), join(copy, path));
    }
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    const whole = readFileSync(join(copy, file), 'utf8');
    if (whole.split(from).length !== 2) throw new Error(`${file} has not once: ${from}`);
    writeFileSync(
      join(copy, file),
      whole.replace(from, () => to),
    );
    return search(copy, breaks);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function search(copy: string, breaks: RegExp): Finding | undefined {
  const program = join(copy, 'test/simulation/simulate.ts');
  let step = 1;
  for (let seed = 1; seed <= seedsMax; seed += step, step = Math.min(step * 2, STEP_MAX)) {
    const args = [program, '--seed', String(seed), '--seeds', String(step)];
    const ran = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: STEP_MS });
    const { stderr, stdout, status } = ran;
    // It ends with 1 as well when it can't even start.
    if (!/^\d+ scenarios from seed/m.test(stdout))
      throw new Error(`it ended with ${status}: ${stderr}`);
    let current = 0;
    for (const line of stderr.split('\n')) {
      const [, broke] = /^seed (\d+) broke/.exec(line) ?? [];
      if (broke !== undefined) current = Number(broke);
      if (breaks.test(line)) return { seed: current, violation: line.trim() };
    }
  }
  return undefined;
}

function inWords({ seed, violation }: Finding): string {
  return `seed ${seed}, ${violation}`;
}
