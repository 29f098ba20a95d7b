import type { Bus } from '../bus/bus.ts';
import { type Clock, delay } from '../clock.ts';
import type { Job } from '../job.ts';
import type { CheckpointStore } from '../nodes/checkpoint-store.ts';
import type { LogEntry } from '../nodes/host-node.ts';
import type { Register } from '../registry/register.ts';
import type { ReplicatedCheckpoints } from '../registry/replicated-checkpoints.ts';
import { createSystem, type System } from '../system.ts';
import type { SystemOptions } from '../system-options.ts';
import { detachedOwner, subjects } from '../wire/address.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { EventStore } from './event-store.ts';
import { createJobLog, type JobLog } from './job-log.ts';

const END_MS = 5_000;
const HAND_OVER_MS = 30_000;
const LOOK_MS = 100;

/** What the process of a job's controller works with. */
export interface JobProcess {
  readonly system: System;
  readonly register: Register;
  readonly log: JobLog;
  /** The job of that name among those that the node was started with. */
  findJob(name: string): Promise<Job | undefined>;
  /** For the job's files, as long as this life lasts. */
  createFolder(): Promise<JobFolder>;
  /** Milliseconds since 1970, by this host's clock. */
  date(): number;
  /** Resolves when this life may act, perhaps again; false when a later one does. */
  mayAct(): Promise<boolean>;
  /** The job is over: ends its actors, then the controller itself. */
  end(): Promise<void>;
  /** The next life resumes the job: its actors save their states and end. */
  handOver(): Promise<void>;
  /** Only this life is over: ends its actors and its process, and leaves the job to the others. */
  leave(): Promise<void>;
}

export interface JobFolder extends AsyncDisposable {
  readonly path: string;
}

/** What a life of a job's controller is. */
export interface JobLife {
  readonly id: string;
  /** Of the names of the job's actors. */
  readonly scope: string;
  /** The controller, and its life: no earlier one saves a state from now on. */
  readonly controller: string;
  readonly epoch: number;
  /** Where the controller's own definition is. */
  readonly ownModule: string;
  /** A later life of the controller has begun. */
  isReplaced(): boolean;
  onLog(entry: LogEntry): void;
}

/** Where that life is: its process, its host and the servers. */
export interface JobSurroundings extends Pick<JobProcess, 'findJob' | 'createFolder' | 'date'> {
  readonly bus: Bus;
  readonly namespace: string;
  readonly clock: Clock;
  readonly register: Register;
  readonly events: EventStore;
  readonly states: ReplicatedCheckpoints;
  /** Of the job's system: on which bus, and which actors can be made. */
  readonly system: Pick<SystemOptions, 'bus' | 'modules' | 'actors' | 'clock' | 'random'>;
  /** How long the controller may act without another word. */
  remainingMs(): number;
  /** Ends the process. */
  exit(): void;
}

export type OpenJob = (life: JobLife) => Promise<JobProcess>;

export async function openJobProcess(
  life: JobLife,
  surroundings: JobSurroundings,
): Promise<JobProcess> {
  const { id, scope, controller, epoch, onLog } = life;
  const { bus, namespace, clock, register, remainingMs } = surroundings;
  const mayAct = async (): Promise<boolean> => {
    // Ends with a word of the node, with a later life, or with the node and so with this process.
    while (!life.isReplaced() && remainingMs() <= 0) await delay(clock, LOOK_MS);
    return !life.isReplaced();
  };
  const states = jobCheckpoints(surroundings.states, id, epoch);
  const system = await createSystem({
    ...surroundings.system,
    namespace,
    scope,
    nodeName: controller,
    life: { actor: controller, epoch, remainingMs },
    checkpoints: states,
    log: onLog,
  });
  return {
    system,
    register,
    log: createJobLog(surroundings.events, mayAct),
    findJob: (name) => surroundings.findJob(name),
    createFolder: () => surroundings.createFolder(),
    date: () => surroundings.date(),
    mayAct,
    async end() {
      await system.close();
      // Nothing goes on from them any more; what can't be removed now only takes room.
      await states.removeAll().catch(() => {});
      await endActor(bus, namespace, controller, epoch);
    },
    // Whoever drains the controller waits no longer than it wants to.
    handOver: () => system.drain({ timeoutMs: HAND_OVER_MS }),
    async leave() {
      await Promise.race([system.close(), delay(clock, END_MS)]).catch(() => {});
      surroundings.exit();
    },
  };
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
