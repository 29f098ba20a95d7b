import { access, constants, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { listEngines } from '../../compiler/index.ts';
import type { NatsOptions } from '../../runtime/index.ts';
import { describeError } from '../output/error-text.ts';
import { formatBytes } from '../output/quantity.ts';
import { nodeVersionAdvice } from '../package-info.ts';
import { checkNats } from './doctor-nats.ts';

/** One thing that a machine needs to run jobs, or would be better with. */
export interface Check {
  readonly name: string;
  /** `missing` is something that nothing depends on, `failed` something that jobs can't do without. */
  readonly status: 'ok' | 'missing' | 'failed';
  readonly detail: string;
  /** What to do about it. */
  readonly advice?: string;
}

const freeBytesMin = 1e9;

/** Tries out, for real, what jobs need on this machine. */
export async function listChecks(options: {
  readonly cwd: string;
  readonly nats: NatsOptions | undefined;
  readonly natsMonitor: string | undefined;
}): Promise<readonly Check[]> {
  return [
    checkRuntimeVersion(),
    checkProcessor(),
    ...(await checkEngines()),
    await checkTemporaryFolder(),
    await checkRunFolder(options.cwd),
    ...(options.nats === undefined ? [] : await checkNats(options.nats, options.natsMonitor)),
  ];
}

function checkRuntimeVersion(): Check {
  const { node, deno } = process.versions;
  if (deno !== undefined) return { name: 'deno', status: 'ok', detail: deno };
  const advice = nodeVersionAdvice();
  if (advice === undefined) return { name: 'node', status: 'ok', detail: node };
  return { name: 'node', status: 'failed', detail: node, advice };
}

function checkProcessor(): Check {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const cores = availableParallelism();
  const memory = formatBytes(totalmem());
  return { name: 'machine', status: 'ok', detail: `${cores} cores (${model}), ${memory} memory` };
}

/** One engine that works is enough; the others are only worth knowing of. */
async function checkEngines(): Promise<readonly Check[]> {
  const engines = await listEngines();
  const anyWorks = engines.some(({ works }) => works);
  return engines.map(({ name, works, reason, install }) => ({
    name: `engine ${name}`,
    status: works ? 'ok' : anyWorks ? 'missing' : 'failed',
    detail: works ? 'works' : (reason ?? "doesn't work"),
    ...(!works && install !== undefined && { advice: install }),
  }));
}

/** Sockets of actors' processes and drafts of large values live there. */
async function checkTemporaryFolder(): Promise<Check> {
  const folder = tmpdir();
  try {
    const probe = await mkdtemp(join(folder, 'codistill-doctor-'));
    await writeFile(join(probe, 'probe'), 'probe').finally(() => rm(probe, { recursive: true }));
    return { name: 'temporary folder', status: 'ok', detail: folder };
  } catch (error) {
    return {
      name: 'temporary folder',
      status: 'failed',
      detail: describeError(error),
      advice: 'Set TMPDIR to a folder that you may write to.',
    };
  }
}

async function checkRunFolder(cwd: string): Promise<Check> {
  const name = 'run folder';
  try {
    await access(cwd, constants.W_OK);
    const { bavail, bsize } = await statfs(cwd);
    const freeBytes = bavail * bsize;
    const detail = `${cwd}, ${formatBytes(freeBytes)} free`;
    if (freeBytes >= freeBytesMin) return { name, status: 'ok', detail };
    const advice = `Runs keep checkpoints; make ${formatBytes(freeBytesMin)} of room, or give --run-dir.`;
    return { name, status: 'missing', detail, advice };
  } catch (error) {
    const advice = 'Call actorctl in a folder that you may write to, or give --run-dir.';
    return { name, status: 'failed', detail: describeError(error), advice };
  }
}
