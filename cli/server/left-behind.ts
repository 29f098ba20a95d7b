import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { ServerFolder } from './server-folder.ts';

const run = promisify(execFile);
const END_TIMEOUT_MS = 5_000;
const LOOK_MS = 50;

/** Ends the servers of a folder that outlived a killed `actorctl up`. */
export async function endLeftBehind(folder: ServerFolder): Promise<void> {
  for (const name of ['server', 'witness']) {
    const pid = await findServer(folder.at(`${name}.pid`), folder.at(`${name}.conf`));
    if (pid === undefined) continue;
    process.kill(pid, 'SIGTERM');
    const killAt = performance.now() + END_TIMEOUT_MS;
    while (isAlive(pid)) {
      if (performance.now() > killAt) process.kill(pid, 'SIGKILL');
      await delay(LOOK_MS);
    }
  }
}

/** The process of the pid file, if its arguments say that it is still that server. */
async function findServer(pidFile: string, configFile: string): Promise<number | undefined> {
  const pid = readPid(pidFile);
  if (pid === undefined) return undefined;
  const { stdout } = await run('ps', ['-o', 'args=', '-p', String(pid)]).catch(() => ({
    stdout: '',
  }));
  return stdout.includes(configFile) ? pid : undefined;
}

function readPid(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, 'utf8').trim());
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
