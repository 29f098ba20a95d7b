import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNatsBus } from '../bus/connect-nats.ts';
import type { NatsOptions } from '../bus/nats-options.ts';
import { systemClock } from '../clock.ts';
import { isJob, type Job } from '../job.ts';
import { openNatsCheckpoints, openNatsRegister } from '../registry/open-register.ts';
import { openJetStreamEvents } from './jetstream-events.ts';
import type { JobFolder, JobLife, JobSurroundings } from './job-process.ts';

const WAIT = { timeoutMs: 15_000 };

export interface JobPlace extends Pick<JobSurroundings, 'remainingMs' | 'exit'> {
  readonly nats: NatsOptions;
  readonly namespace: string;
  /** Those that the node was started with. */
  readonly modules: readonly string[];
}

/** Of a real process, whose node is on a NATS server. */
export async function connectJob(
  { controller, ownModule }: JobLife,
  { nats, namespace, modules, remainingMs, exit }: JobPlace,
): Promise<JobSurroundings> {
  const bus = await connectNatsBus({ ...nats, name: controller });
  const register = await openNatsRegister(bus, namespace, WAIT);
  return {
    bus,
    namespace,
    clock: systemClock,
    register,
    events: await openJetStreamEvents(bus, namespace, WAIT),
    states: await openNatsCheckpoints(bus, namespace, register, WAIT),
    // Other jobs are no affair of this one's process.
    system: { bus: { nats }, modules: modules.filter((url) => url !== ownModule) },
    findJob: (name) => findJob(modules, name),
    createFolder,
    date: () => Date.now(),
    remainingMs,
    exit,
  };
}

async function findJob(modules: readonly string[], name: string): Promise<Job | undefined> {
  for (const url of modules) {
    const { default: found } = (await import(url)) as { readonly default?: unknown };
    if (isJob(found) && found.name === name) return found;
  }
  return undefined;
}

async function createFolder(): Promise<JobFolder> {
  const path = await mkdtemp(join(tmpdir(), 'codistill-job-'));
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}
