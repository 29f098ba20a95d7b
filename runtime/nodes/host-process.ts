import { readdir, readFile, readlink } from 'node:fs/promises';
import * as v from 'valibot';

/** A process of a host, told apart from a later one of the same pid. */
export interface HostProcess {
  /** The run of the kernel, the pid namespace and the user: only there the rest means something. */
  readonly host: string;
  readonly pid: number;
  /** In clock ticks since the host started. */
  readonly startedAt: string;
}

export const hostProcessSchema: v.GenericSchema<unknown, HostProcess> = v.object({
  host: v.string(),
  pid: v.number(),
  startedAt: v.string(),
});

/** What a node tells of its process, and finds out about that of another node. */
export interface HostProcesses {
  readonly own: HostProcess | undefined;
  /** True only when that process and all that it started for its node have certainly ended. */
  haveEnded(node: HostProcess, nodeId: string): Promise<boolean>;
}

/** On Linux, from /proc; elsewhere nothing is known, and so nothing is ever certain. */
export async function readHostProcesses(): Promise<HostProcesses> {
  const own = await readOwn().catch(() => undefined);
  return {
    own,
    async haveEnded(node, nodeId) {
      if (own === undefined || node.host !== own.host) return false;
      try {
        return (await startOf(node.pid)) !== node.startedAt && !(await isInAnyCommandLine(nodeId));
      } catch {
        return false;
      }
    },
  };
}

async function readOwn(): Promise<HostProcess | undefined> {
  if (process.platform !== 'linux') return undefined;
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const pidNamespace = await readlink('/proc/self/ns/pid');
  const startedAt = await startOf(process.pid);
  const host = [boot, pidNamespace, process.getuid?.()].join(' ');
  return startedAt === undefined ? undefined : { host, pid: process.pid, startedAt };
}

/** Undefined for a process that has ended, also when nobody has taken note of that yet. */
async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(onlyGone);
  if (text === undefined) return undefined;
  // The name before the last parenthesis may hold anything. The state is the third field.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

/** A node's actors run in processes that have its id as an argument. */
async function isInAnyCommandLine(nodeId: string): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(onlyGone)),
  );
  return lines.some((line) => line?.split('\0').includes(nodeId));
}

function onlyGone(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
  throw error;
}
