import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const countingJob: string = fixture('counting-job.ts');

export interface JsonEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** A running `actorctl`. */
export interface ActorctlProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Resolves with the first line of stdout that fits; rejects when the process ends before. */
  waitForLine(fits: (line: string) => boolean): Promise<string>;
  /** Of stdout, so far. */
  lines(): readonly string[];
  readonly ended: Promise<ActorctlOutcome>;
}

export interface ActorctlOutcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A new folder that goes away at the end of the test. */
export async function makeFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'codistill-cli-')));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export function startActorctl(
  args: readonly string[],
  cwd: string,
  variables: Readonly<Record<string, string>> = {},
  /** What its command line begins with. */
  prefix: readonly string[] = [],
): ActorctlProcess {
  const script = fileURLToPath(new URL('../../cli/actorctl.ts', import.meta.url));
  const [command, ...words] = [...prefix, process.execPath, script, ...args];
  const child = spawn(command!, words, {
    cwd,
    env: { ...process.env, NO_COLOR: '1', ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  let stderr = '';
  let isOver = false;
  const reader = createInterface({ input: child.stdout });
  const tell = () => {
    for (const check of waiting) check();
  };
  reader.on('line', (line) => {
    lines.push(line);
    tell();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([exitCode]): ActorctlOutcome => {
    isOver = true;
    tell();
    return { exitCode, stdout: lines.map((line) => `${line}\n`).join(''), stderr };
  });
  return {
    child,
    ended,
    lines: () => lines,
    async waitForLine(fits) {
      const { promise, resolve, reject } = Promise.withResolvers<string>();
      const check = () => {
        const found = lines.find(fits);
        if (found !== undefined) resolve(found);
        else if (isOver)
          reject(new Error(`ended without that line:\n${lines.join('\n')}\n${stderr}`));
      };
      waiting.add(check);
      check();
      return await promise.finally(() => waiting.delete(check));
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}

export async function actorctl(
  args: readonly string[],
  cwd: string,
  variables?: Readonly<Record<string, string>>,
  prefix?: readonly string[],
): Promise<ActorctlOutcome> {
  return await startActorctl(args, cwd, variables, prefix).ended;
}

/** @throws SyntaxError when a line isn't JSON. */
export function parseEvents(stdout: string): readonly JsonEvent[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as JsonEvent);
}

export async function onlyRun(cwd: string): Promise<string> {
  const names = await readdir(join(cwd, 'runs'));
  if (names.length !== 1) throw new Error(`expected one run, there are: ${names.join(', ')}`);
  return join(cwd, 'runs', names[0] as string);
}

export function fixture(name: string): string {
  return fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));
}
