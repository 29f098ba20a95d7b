import { dataShard } from './data-shard.ts';
import { evaluator } from './evaluator.ts';
import { teacherSnapshot } from './teacher-snapshot.ts';
import { trainer } from './trainer.ts';

export { CodistillationGroup } from './codistillation-group.ts';
export { type DataShard, type DataShardOptions, dataShard } from './data-shard.ts';
export { type Evaluation, type Evaluator, type EvaluatorOptions, evaluator } from './evaluator.ts';
export type { GroupPlan, ReplicaPlan } from './group-plan.ts';
export { type TeacherPrecision, teacherPrecisions } from './student.ts';
export {
  type TeacherSnapshot,
  type TeacherSnapshotOptions,
  teacherSnapshot,
} from './teacher-snapshot.ts';
export { deltaCodecs } from './tensor-delta.ts';
export { type Trainer, type TrainerOptions, trainer } from './trainer.ts';
export { exchangeModes } from './weight-exchange.ts';

/** The modules of the four actors: what a node must be started with to run codistillation jobs. */
export const actorModules: readonly string[] = [
  dataShard.module,
  teacherSnapshot.module,
  trainer.module,
  evaluator.module,
];
