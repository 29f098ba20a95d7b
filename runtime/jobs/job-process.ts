import type { Bus } from '../bus/bus.ts';
import { connectNatsBus } from '../bus/connect-nats.ts';
import type { NatsOptions } from '../bus/nats-options.ts';
import type { CheckpointStore } from '../nodes/checkpoint-store.ts';
import type { LogEntry } from '../nodes/host-node.ts';
import { openNatsCheckpoints, openNatsRegister } from '../registry/open-register.ts';
import type { Register } from '../registry/register.ts';
import type { ReplicatedCheckpoints } from '../registry/replicated-checkpoints.ts';
import { createSystem, type System } from '../system.ts';
import { detachedOwner, subjects } from '../wire/address.ts';
import { encodeMessage } from '../wire/wire.ts';
import { type JobLog, openJobLog } from './job-log.ts';

const WAIT = { timeoutMs: 15_000 };
const END_MS = 5_000;

/** What the process of a job's controller works with. */
export interface JobProcess {
  readonly system: System;
  readonly register: Register;
  readonly log: JobLog;
  /** Those that the node was started with. */
  readonly modules: readonly string[];
  /** Ends the job's actors, then the controller itself. */
  end(): Promise<void>;
}

export interface JobProcessOptions {
  readonly nats: NatsOptions;
  readonly namespace: string;
  readonly modules: readonly string[];
  readonly id: string;
  /** Of the names of the job's actors. */
  readonly scope: string;
  /** The controller, and its life: no earlier one saves a state from now on. */
  readonly controller: string;
  readonly epoch: number;
  /** How long the controller may act without another word. */
  remainingMs(): number;
  /** Where the controller's own definition is. */
  readonly ownModule: string;
  onLog(entry: LogEntry): void;
}

export type OpenJob = (
  options: Omit<JobProcessOptions, 'nats' | 'namespace' | 'modules' | 'remainingMs'>,
) => Promise<JobProcess>;

export async function openJobProcess(options: JobProcessOptions): Promise<JobProcess> {
  const { nats, namespace, modules, id, controller, epoch, onLog } = options;
  const bus = await connectNatsBus({ ...nats, name: controller });
  const register = await openNatsRegister(bus, namespace, WAIT);
  const log = await openJobLog(bus, namespace, WAIT);
  const replicated = await openNatsCheckpoints(bus, namespace, register, WAIT);
  const states = jobCheckpoints(replicated, id, epoch);
  const system = await createSystem({
    bus: { nats },
    namespace,
    scope: options.scope,
    nodeName: controller,
    life: { actor: controller, epoch, remainingMs: options.remainingMs },
    // Other jobs are no affair of this one's process.
    modules: modules.filter((url) => url !== options.ownModule),
    checkpoints: states,
    log: onLog,
  });
  const end = async (): Promise<void> => {
    await system.close();
    // Nothing goes on from them any more; what can't be removed now only takes room.
    await states.removeAll().catch(() => {});
    await endActor(bus, namespace, controller);
  };
  return { system, register, log, modules, end };
}

/** States of a job's actors outlive the node of its controller, which owns them. */
function jobCheckpoints(
  replicated: ReplicatedCheckpoints,
  id: string,
  epoch: number,
): CheckpointStore & { removeAll(): Promise<void> } {
  const known = new Set<string>();
  const keyOf = (actor: string): string => {
    const key = `${id}/${actor}`;
    known.add(key);
    return key;
  };
  return {
    save: (actor, bytes) => replicated.save(keyOf(actor), epoch, bytes),
    load: (actor) => replicated.load(keyOf(actor), epoch),
    async removeAll() {
      for (const key of known) await replicated.remove(key);
    },
  };
}

/** The answer may not find us any more. */
async function endActor(bus: Bus, namespace: string, name: string): Promise<void> {
  const message = encodeMessage({ kind: 'end-actor', name, timeoutMs: END_MS });
  const subject = subjects.node(namespace, detachedOwner(name));
  await bus.request(subject, message, { timeoutMs: END_MS }).catch(() => {});
}
