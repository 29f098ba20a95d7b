import type { Corpus } from '../datasets/index.ts';
import type { Handle, JobContext } from '../runtime/index.ts';
import { languageModelParameters } from '../training/index.ts';
import type { CodistillationPlan } from './codistillation-plan.ts';
import { dataShard } from './data-shard.ts';
import { type TeacherSnapshot, teacherSnapshot } from './teacher-snapshot.ts';
import { type Trainer, trainer } from './trainer.ts';

/** One model of a codistillation group, as its actors. */
export interface Replica {
  readonly name: string;
  readonly trainer: Handle<Trainer>;
  /** Where it publishes its weights for its students. */
  readonly snapshot: Handle<TeacherSnapshot>;
}

/** Windows in one record batch: at 32 lanes of 32 tokens 128 KB. */
const WINDOWS_PER_BATCH = 16;

/**
 * Spawns the actors of all replicas. Trainers go round the nodes; the snapshot of a replica goes to the node of its
 * first student, so that between hosts only deltas travel.
 */
export async function spawnReplicas(
  context: JobContext<unknown>,
  plan: CodistillationPlan,
  corpus: Corpus,
): Promise<readonly Replica[]> {
  const { system, resumed } = context;
  const names = Array.from({ length: plan.replicas }, (_, index) => `replica-${index + 1}`);
  const nodes = trainerNodes(context);
  const nodeOf = (index: number): string => nodes[index % nodes.length] as string;
  const { maxRestarts } = { maxRestarts: plan.restartsMax };

  // At once, for each waits for a process to start.
  const startingSnapshots = Promise.all(
    names.map((name, index) =>
      system.spawn(
        teacherSnapshot,
        {
          replica: name,
          shapes: languageModelParameters(plan.model),
          versionsMax: versionsKept(plan),
        },
        {
          name: `${name}-snapshot`,
          placement: { nodeId: nodeOf(index + 1) },
          maxRestarts,
          resume: resumed,
        },
      ),
    ),
  );
  const startingShards = Promise.all(
    names.map((name, index) =>
      system.spawn(
        dataShard,
        {
          path: (corpus.shards[index] as Corpus['shards'][number]).path,
          batch: plan.batch,
          time: plan.time,
          windowsPerBatch: WINDOWS_PER_BATCH,
        },
        { name: `${name}-data`, placement: { nodeId: system.nodeId }, maxRestarts },
      ),
    ),
  );
  const [snapshots, shards] = await Promise.all([startingSnapshots, startingShards]);
  const trainers = await Promise.all(
    names.map((name, index) =>
      system.spawn(
        trainer,
        {
          ...plan,
          replica: name,
          // Far apart, so that the replicas of one run and those of the next seed differ.
          seed: plan.seed * 1000 + index,
          prefetchWindows: 2 * WINDOWS_PER_BATCH,
          data: shards[index] as (typeof shards)[number],
          snapshot: snapshots[index] as (typeof snapshots)[number],
          teachers: names.flatMap((peer, peerIndex) =>
            peerIndex === index
              ? []
              : {
                  replica: peer,
                  model: plan.model,
                  snapshot: snapshots[peerIndex] as (typeof snapshots)[number],
                },
          ),
        },
        { name, placement: { nodeId: nodeOf(index) }, maxRestarts, resume: resumed },
      ),
    ),
  );
  return names.map((name, index) => ({
    name,
    trainer: trainers[index] as Handle<Trainer>,
    snapshot: snapshots[index] as Handle<TeacherSnapshot>,
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

/**
 * A Trainer that restarts does so from a checkpoint that is up to two checkpoint intervals old (the newest may not
 * have become durable) and needs the teachers' version of the exchange interval before; its peers may be two
 * intervals ahead of where it was.
 */
function versionsKept(plan: CodistillationPlan): number {
  return Math.ceil((2 * plan.checkpointIntervalSteps) / plan.exchangeIntervalSteps) + 4;
}
