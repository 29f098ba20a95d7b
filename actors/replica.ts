import type { Handle, JobContext } from '../runtime/index.ts';
import { createModel, weightShapes } from '../training/index.ts';
import { dataShard } from './data-shard.ts';
import type { GroupPlan, ReplicaPlan } from './group-plan.ts';
import { snapshotNodes, trainerNode, versionsKept } from './placement.ts';
import { type TeacherSnapshot, teacherSnapshot } from './teacher-snapshot.ts';
import { type Trainer, trainer } from './trainer.ts';

/** One model of a codistillation group, as its actors. */
export interface Replica {
  readonly name: string;
  readonly trainer: Handle<Trainer>;
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
        { replica: name, shapes, versionsMax: versionsKept(plan) },
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
  const [snapshots, shards] = await Promise.all([startingSnapshots, startingShards]);
  const trainers = await Promise.all(
    replicas.map(({ name, teachers, data: _, ...replica }, index) => {
      const snapshot = snapshots[index];
      return system.spawn(
        trainer,
        {
          ...plan,
          ...replica,
          replica: name,
          prefetchBatches: 2 * BATCHES_PER_MESSAGE,
          data: shards[index] as (typeof shards)[number],
          ...(snapshot && { snapshot }),
          teachers: teachers.map((teacher) => ({
            replica: (replicas[teacher] as ReplicaPlan).name,
            model: (replicas[teacher] as ReplicaPlan).model,
            snapshot: snapshots[teacher] as Handle<TeacherSnapshot>,
            steps: (replicas[teacher] as ReplicaPlan).steps,
          })),
        },
        {
          name,
          placement: { nodeId: nodes[trainerNode(index, nodes.length)] as string },
          maxRestarts,
          resume: resumed,
        },
      );
    }),
  );
  return replicas.map(({ name }, index) => ({
    name,
    trainer: trainers[index] as Handle<Trainer>,
    snapshot: snapshots[index],
  }));
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
