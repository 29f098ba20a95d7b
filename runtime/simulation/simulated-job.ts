import type { AnyActorDefinition } from '../actor.ts';
import type { SimulatedConnection } from '../bus/simulated-bus.ts';
import { watchLink } from '../calls/endpoint.ts';
import type { Clock } from '../clock.ts';
import type { Job } from '../job.ts';
import { type JobLife, type JobProcess, openJobProcess } from '../jobs/job-process.ts';
import type { StartProcess } from '../nodes/actor-child.ts';
import { connectRegister } from '../registry/bus-register.ts';
import {
  createReplicatedCheckpoints,
  type ReplicatedCheckpoints,
} from '../registry/replicated-checkpoints.ts';
import type { Random } from './random.ts';
import { connectChunks } from './simulated-chunks.ts';
import { connectEvents } from './simulated-events.ts';

/** A simulated process in which a job's controller lives. */
export interface SimulatedJobPlace {
  readonly namespace: string;
  readonly processId: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Those of the host. */
  readonly actors: readonly AnyActorDefinition[];
  readonly jobs: readonly Job[];
  readonly watchedNodesMax?: number | undefined;
  /** One more connection of this process. */
  connect(name: string): SimulatedConnection;
  /** Whose processes end with this one. */
  readonly startProcess: StartProcess;
  date(): number;
  remainingMs(): number;
  exit(): void;
}

/** As a real process does it: one connection for the job's record, log and states, one for its system. */
export function openSimulatedJob(life: JobLife, place: SimulatedJobPlace): Promise<JobProcess> {
  const { namespace, processId, clock, random, actors, jobs, startProcess } = place;
  const own = openStores(place, `job-${processId}`);
  const { bus: connected, register, states: replicated } = openStores(place, `system-${processId}`);
  const { watchedNodesMax } = place;
  const bus = { connected, register, replicated, startProcess };
  return openJobProcess(life, {
    ...own,
    namespace,
    clock,
    events: connectEvents(own.bus, namespace),
    system: {
      bus: { ...bus, ...(watchedNodesMax !== undefined && { watchedNodesMax }) },
      actors: actors.filter(({ module }) => module !== life.ownModule),
      clock,
      random,
    },
    findJob: async (name) => jobs.find((job) => job.name === name),
    // There are no files in a simulation.
    createFolder: async () => ({ path: '', [Symbol.asyncDispose]: async () => {} }),
    date: () => place.date(),
    remainingMs: () => place.remainingMs(),
    exit: () => place.exit(),
  });
}

function openStores({ namespace, clock, connect }: SimulatedJobPlace, name: string) {
  const { bus } = connect(name);
  const register = connectRegister({
    bus,
    clock,
    namespace,
    nodeId: name,
    link: watchLink(bus, clock),
  });
  const states: ReplicatedCheckpoints = createReplicatedCheckpoints(
    register,
    connectChunks(bus, namespace),
  );
  return { bus, register, states };
}
