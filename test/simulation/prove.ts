/** `node test/simulation/prove.ts`: breaks the runtime in a copy, one line at a time; see the help below. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Breakage, breakages } from './breakages.ts';

const HELP = `node test/simulation/prove.ts [--seeds N] [--only TEXT]

Breaks the runtime in a copy, one line at a time, and looks for the first seed whose simulation sees it.

  --seeds N    seeds to try for each; default 300
  --only TEXT  only those that have this in their name

Ends with 0 when each was seen as the promise that it breaks.`;

const root = fileURLToPath(new URL('../../', import.meta.url));
const STEP = 20;

interface Finding {
  readonly seed: number;
  readonly violation: string;
}

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '300' },
    only: { type: 'string', default: '' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(HELP);
  process.exit();
}
const seedsMax = Number(values.seeds);
let unseen = 0;
for (const breakage of breakages.filter(({ name }) => name.includes(values.only))) {
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
      if (/^(runtime|test\/simulation)\/|^[^/]+$/.test(path))
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
  for (let seed = 1; seed <= seedsMax; seed += STEP) {
    const args = [program, '--seed', String(seed), '--seeds', String(STEP)];
    const { stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 600_000 });
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
