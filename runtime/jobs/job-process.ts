import type { Bus } from '../bus/bus.ts';
import { connectNatsBus } from '../bus/connect-nats.ts';
import type { NatsOptions } from '../bus/nats-options.ts';
import { delay, systemClock } from '../clock.ts';
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
const HAND_OVER_MS = 30_000;
const LOOK_MS = 100;

/** What the process of a job's controller works with. */
export interface JobProcess {
  readonly system: System;
  readonly register: Register;
  readonly log: JobLog;
  /** Those that the node was started with. */
  readonly modules: readonly string[];
  /** Resolves when this life may act, perhaps again; false when a later one does. */
  mayAct(): Promise<boolean>;
  /** The job is over: ends its actors, then the controller itself. */
  end(): Promise<void>;
  /** The next life resumes the job: its actors save their states and end. */
  handOver(): Promise<void>;
  /** Only this life is over: ends its actors and its process, and leaves the job to the others. */
  leave(): Promise<void>;
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
  /** A later life of the controller has begun. */
  isReplaced(): boolean;
  /** Ends the process. */
  exit(): void;
  /** Where the controller's own definition is. */
  readonly ownModule: string;
  onLog(entry: LogEntry): void;
}

export type OpenJob = (
  options: Omit<JobProcessOptions, 'nats' | 'namespace' | 'modules' | 'remainingMs' | 'exit'>,
) => Promise<JobProcess>;

export async function openJobProcess(options: JobProcessOptions): Promise<JobProcess> {
  const { nats, namespace, modules, id, controller, epoch, onLog } = options;
  const bus = await connectNatsBus({ ...nats, name: controller });
  const register = await openNatsRegister(bus, namespace, WAIT);
  const mayAct = async (): Promise<boolean> => {
    // Ends with a word of the node, with a later life, or with the node and so with this process.
    while (!options.isReplaced() && options.remainingMs() <= 0) await delay(systemClock, LOOK_MS);
    return !options.isReplaced();
  };
  const log = await openJobLog(bus, namespace, { ...WAIT, mayWrite: mayAct });
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
    await endActor(bus, namespace, controller, epoch);
  };
  // Whoever drains the controller waits no longer than it wants to.
  const handOver = (): Promise<void> => system.drain({ timeoutMs: HAND_OVER_MS });
  const leave = async (): Promise<void> => {
    await Promise.race([system.close(), delay(systemClock, END_MS)]).catch(() => {});
    options.exit();
  };
  return { system, register, log, modules, mayAct, end, handOver, leave };
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
async function endActor(bus: Bus, namespace: string, name: string, epoch: number): Promise<void> {
  const message = encodeMessage({ kind: 'end-actor', name, epoch, timeoutMs: END_MS });
  const subject = subjects.node(namespace, detachedOwner(name));
  await bus.request(subject, message, { timeoutMs: END_MS }).catch(() => {});
}
