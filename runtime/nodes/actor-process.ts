/** The program that a node starts for each actor that lives in its own process. */
import { createInterface } from 'node:readline';
import type { Bus } from '../bus/bus.ts';
import { type Endpoint, watchLink } from '../calls/endpoint.ts';
import { systemClock } from '../clock.ts';
import type { JobLife, JobProcess } from '../jobs/job-process.ts';
import { processFigures } from '../observe/process-figures.ts';
import { loadTracing } from '../observe/tracing.ts';
import { ActorRunner } from './actor-runner.ts';
import { findOwnDefinition } from './definition-lookup.ts';
import {
  connectBus,
  connectHub,
  type ProcessBoot,
  parseProcessBoot,
  readLeaseTick,
} from './process-boot.ts';

// Ctrl-C reaches every process of the terminal; ours are drained and stopped by their node.
process.on('SIGINT', () => {});

const lines = createInterface({ input: process.stdin });
const boot = await readBoot();
const hub = await connectHub(boot);
const bus = await connectBus(boot.bus, `actor-process-${boot.processId}`, hub);
bus.onStatus((status) => {
  if (status.type === 'closed') process.exit(0);
});
const tracing = await loadTracing();
const runner = new ActorRunner({
  endpoint: endpointOn(bus),
  ...(hub && { hub: endpointOn(hub.bus) }),
  processId: boot.processId,
  secret: boot.secret,
  pid: process.pid,
  modules: boot.modules,
  find: findOwnDefinition,
  processFigures,
  openJob,
  leave(failure) {
    // What it writes last is the cause of death that its callers see.
    if (failure !== undefined) console.error(failure);
    process.exit(failure === undefined ? 0 : 1);
  },
});
lines.on('line', (line) => runner.renewLease(readLeaseTick(line)));
await runner.run();
// Nearly every module of actors imports it: a process that waits has the time to do so.
await import('../index.ts');

function endpointOn(bus: Bus): Endpoint {
  const { namespace, nodeId } = boot;
  const link = watchLink(bus, systemClock);
  return { bus, clock: systemClock, namespace, nodeId, link, tracing };
}

async function openJob(life: JobLife): Promise<JobProcess> {
  const { bus, namespace, modules } = boot;
  if (bus.kind !== 'nats') throw new TypeError('jobs are submitted to nodes on a NATS server');
  const [{ openJobProcess }, { connectJob }] = await Promise.all([
    import('../jobs/job-process.ts'),
    import('../jobs/job-surroundings.ts'),
  ]);
  const remainingMs = (): number => runner.leaseRemainingMs;
  const exit = (): void => process.exit(0);
  const place = { nats: bus.options, namespace, modules, remainingMs, exit };
  return openJobProcess(life, await connectJob(life, place));
}

/** The end of standard input means that the node is gone, even by `kill -9`. */
function readBoot(): Promise<ProcessBoot> {
  return new Promise((resolve, reject) => {
    lines.once('line', (line) => {
      try {
        resolve(parseProcessBoot(line));
      } catch (error) {
        reject(error);
      }
    });
    lines.once('close', () => process.exit(0));
  });
}
