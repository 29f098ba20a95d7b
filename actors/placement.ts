import type { GroupPlan } from './group-plan.ts';
import { trainersOf, type WorkersPlan } from './workers/workers-plan.ts';

/** A Trainer's name among those of its replica; the first speaks for all. */
export function workerName(replica: string, worker: number): string {
  return worker === 0 ? replica : `${replica}-worker-${worker + 1}`;
}

/** The node of a replica's Trainer among so many: they go round, the job's own first. */
export function trainerNode(replica: number, nodes: number): number {
  return replica % nodes;
}

/** Of the branch of a replica's workers on a node. */
export function branchName(replica: string, node: number): string {
  return `${replica}-branch-${node + 1}`;
}

export interface Branch {
  readonly node: number;
  /** By their numbers. */
  readonly workers: readonly number[];
}

/**
 * Where several workers of a replica are on a host without its server, one share travels for all of them. Not where an
 * update doesn't wait for all: asynchronous workers, and those with backups.
 */
export function branchesOf(
  workers: WorkersPlan | undefined,
  replica: number,
  nodes: number,
): readonly Branch[] {
  const waitsForAll =
    workers !== undefined &&
    (workers.mode === 'local' || (workers.mode === 'synchronous' && workers.backups === 0));
  if (!waitsForAll) return [];
  const all = Array.from({ length: trainersOf(workers) }, (_, worker) => worker);
  return Array.from({ length: nodes }, (_, node) => ({
    node,
    workers: all.filter((worker) => trainerNode(replica + worker, nodes) === node),
  })).filter(({ node, workers: own }) => node !== trainerNode(replica, nodes) && own.length > 1);
}

/**
 * The node of each replica's snapshot, none where it has no students: that of the first student after it, in a
 * circle, so that between hosts only deltas travel.
 */
export function snapshotNodes(
  { replicas }: Pick<GroupPlan, 'replicas'>,
  nodes: number,
): readonly (number | undefined)[] {
  return replicas.map((_, teacher) => {
    const after = replicas.map((_, index) => (teacher + 1 + index) % replicas.length);
    const student = after.find((index) => replicas[index]?.teachers.includes(teacher));
    return student === undefined ? undefined : trainerNode(student, nodes);
  });
}

/**
 * Versions that a snapshot keeps. A Trainer that restarts does so from a checkpoint that is up to two checkpoint
 * intervals old (the newest may not have become durable) and needs the teachers' version of the exchange interval
 * before; its peers may be two intervals ahead of where it was.
 */
export function versionsKept({
  checkpointIntervalSteps,
  exchangeIntervalSteps,
}: Pick<GroupPlan, 'checkpointIntervalSteps' | 'exchangeIntervalSteps'>): number {
  return Math.ceil((2 * checkpointIntervalSteps) / exchangeIntervalSteps) + 4;
}
