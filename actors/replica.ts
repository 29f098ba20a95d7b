import type { Handle, JobContext } from '../runtime/index.ts';
import { createModel, type LearningRateSchedule, weightShapes } from '../training/index.ts';
import { dataShard } from './data-shard.ts';
import { type TeacherSnapshot, teacherSnapshot } from './exchange/teacher-snapshot.ts';
import type { GroupPlan, ReplicaPlan } from './group-plan.ts';
import {
  branchesOf,
  branchName,
  snapshotNodes,
  trainerNode,
  versionsKept,
  workerName,
} from './placement.ts';
import { type Trainer, trainer } from './trainer.ts';
import { gradientBranch } from './workers/gradient-branch.ts';
import type { GradientReceiver } from './workers/gradient-receiver.ts';
import {
  type ParameterServer,
  type ParameterServerOptions,
  parameterServer,
} from './workers/parameter-server.ts';
import { trainersOf, type WorkersPlan } from './workers/workers-plan.ts';

/** One model of a codistillation group, as its actors. */
export interface Replica {
  readonly name: string;
  /** The Trainer that publishes the weights, and speaks for the others. */
  readonly trainer: Handle<Trainer>;
  /** Trainers of the same weights beside it. */
  readonly others: readonly Handle<Trainer>[];
  /** Where it publishes its weights for its students, if it has any. */
  readonly snapshot: Handle<TeacherSnapshot> | undefined;
}

/** Batches in one record batch: of 32 lanes of 32 tokens 128 KB. */
const BATCHES_PER_MESSAGE = 16;

/**
 * Spawns the actors of all replicas. Trainers go round the nodes; the snapshot of a replica goes to the node of its
 * first student, so that between hosts only deltas travel.
 */
export async function spawnReplicas(
  context: JobContext<unknown>,
  plan: GroupPlan,
): Promise<readonly Replica[]> {
  const { system, resumed } = context;
  const { replicas, restartsMax: maxRestarts } = plan;
  const nodes = trainerNodes(context);
  const places = snapshotNodes(plan, nodes.length);

  // At once, for each waits for a process to start.
  const startingSnapshots = Promise.all(
    replicas.map(({ name, model }, index) => {
      const place = places[index];
      if (place === undefined) return undefined;
      const shapes = weightShapes(createModel(model));
      return system.spawn(
        teacherSnapshot,
        {
          replica: name,
          shapes,
          versionsMax: versionsKept(plan),
          ...(plan.carries === 'predictions' && {
            predictor: { ...plan, model, precision: plan.teacherPrecision },
          }),
        },
        {
          name: `${name}-snapshot`,
          placement: { nodeId: nodes[place] as string },
          maxRestarts,
          resume: resumed,
        },
      );
    }),
  );
  const startingShards = Promise.all(
    replicas.map(({ name, data }) =>
      system.spawn(
        dataShard,
        { source: data, batchesPerMessage: BATCHES_PER_MESSAGE },
        { name: `${name}-data`, placement: { nodeId: system.nodeId }, maxRestarts },
      ),
    ),
  );
  const startingServers = Promise.all(
    replicas.map((replica, index) => {
      if (replica.workers === undefined) return undefined;
      const nodeId = nodes[trainerNode(index, nodes.length)] as string;
      return system.spawn(parameterServer, serverOptions(plan, replica, replica.workers), {
        name: `${replica.name}-server`,
        placement: { nodeId },
        maxRestarts,
        resume: resumed,
      });
    }),
  );
  const [snapshots, shards, servers] = await Promise.all([
    startingSnapshots,
    startingShards,
    startingServers,
  ]);
  const receivers = await Promise.all(
    replicas.map((replica, index) => {
      const server = servers[index];
      return server && spawnBranches(context, replica, { index, server, nodes, maxRestarts });
    }),
  );
  const trainers = await Promise.all(
    replicas.map(({ name, teachers, data: _, workers, ...replica }, index) => {
      const snapshot = snapshots[index];
      const count = workers === undefined ? 1 : trainersOf(workers);
      const spawned = Array.from({ length: count }, (_, worker) =>
        system.spawn(
          trainer,
          {
            ...plan,
            ...replica,
            replica: name,
            prefetchBatches: 2 * BATCHES_PER_MESSAGE,
            data: shards[index] as (typeof shards)[number],
            ...(snapshot && worker === 0 && { snapshot }),
            ...(workers && {
              membership: { workers, worker, server: receiverOf(receivers[index]!, worker) },
            }),
            teachers: teachers.map((teacher) => ({
              replica: (replicas[teacher] as ReplicaPlan).name,
              model: (replicas[teacher] as ReplicaPlan).model,
              snapshot: snapshots[teacher] as Handle<TeacherSnapshot>,
              steps: (replicas[teacher] as ReplicaPlan).steps,
            })),
          },
          {
            name: workerName(name, worker),
            placement: { nodeId: nodes[trainerNode(index + worker, nodes.length)] as string },
            maxRestarts,
            resume: resumed,
          },
        ),
      );
      return Promise.all(spawned);
    }),
  );
  return replicas.map(({ name }, index) => {
    const [first, ...others] = trainers[index] as readonly Handle<Trainer>[];
    return { name, trainer: first as Handle<Trainer>, others, snapshot: snapshots[index] };
  });
}

/** Who takes what each worker gives: the server, or the branch of its host. */
interface Receivers {
  readonly server: Handle<ParameterServer>;
  readonly branches: ReadonlyMap<number, Handle<GradientReceiver>>;
}

function receiverOf({ server, branches }: Receivers, worker: number): Handle<GradientReceiver> {
  return branches.get(worker) ?? server;
}

async function spawnBranches(
  { system }: JobContext<unknown>,
  { name, model, workers }: ReplicaPlan,
  options: {
    readonly index: number;
    readonly server: Handle<ParameterServer>;
    readonly nodes: readonly string[];
    readonly maxRestarts: number;
  },
): Promise<Receivers> {
  const { index, server, nodes, maxRestarts } = options;
  const codec = workers?.codec ?? 'f32';
  const spawned = branchesOf(workers, index, nodes.length).map(async (branch) => {
    const nodeId = nodes[branch.node] as string;
    const handle = await system.spawn(
      gradientBranch,
      { model, workers: branch.workers, server, codec },
      { name: branchName(name, branch.node), placement: { nodeId }, maxRestarts },
    );
    return branch.workers.map((worker) => [worker, handle] as const);
  });
  return { server, branches: new Map((await Promise.all(spawned)).flat()) };
}

/** Of local workers the server takes the outer step, of others the only one. */
function serverOptions(
  { checkpointIntervalSteps, engine, threads }: GroupPlan,
  { name: replica, model, seed, optimizer, weightDecay, clipNorm, schedule }: ReplicaPlan,
  workers: WorkersPlan,
): ParameterServerOptions {
  const common = {
    replica,
    model,
    seed,
    workers: trainersOf(workers),
    quorum: workers.mode === 'asynchronous' ? 1 : workers.count,
    asynchronous: workers.mode === 'asynchronous',
    checkpointIntervalSteps,
    engine,
    threads,
  };
  if (workers.mode !== 'local') {
    return { ...common, optimizer, weightDecay, schedule, ...(clipNorm && { clipNorm }) };
  }
  const { outerLearningRate, outerMomentum: momentum } = workers;
  const outer: LearningRateSchedule = {
    kind: 'constant',
    peak: outerLearningRate,
    warmupSteps: 0,
    steps: 1,
  };
  const nesterov = { kind: 'momentum' as const, momentum, nesterov: true };
  return { ...common, optimizer: nesterov, weightDecay: 0, schedule: outer };
}

/** The job's own node first, then the others by id, so that a placement repeats. */
function trainerNodes({ system }: JobContext<unknown>): readonly string[] {
  const others = system
    .nodes()
    .map((node) => node.nodeId)
    .filter((id) => id !== system.nodeId)
    .sort();
  return [system.nodeId, ...others];
}
