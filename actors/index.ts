import { dataShard } from './data-shard.ts';
import { evaluator } from './evaluator.ts';
import { parameterServer } from './parameter-server.ts';
import { teacherSnapshot } from './teacher-snapshot.ts';
import { trainer } from './trainer.ts';

export { CodistillationGroup } from './codistillation-group.ts';
export { type DataShard, type DataShardOptions, dataShard } from './data-shard.ts';
export { type Evaluation, Evaluator, type EvaluatorOptions, evaluator } from './evaluator.ts';
export { type GroupFile, readGroupFile } from './group-file.ts';
export type { GroupPlan, ReplicaPlan } from './group-plan.ts';
export {
  type ParameterServer,
  type ParameterServerOptions,
  parameterServer,
} from './parameter-server.ts';
export { extra, notNegative, option, positive, share, whole } from './plan/option.ts';
export {
  groupPlanOf,
  largestBatch,
  overlay,
  type PlanData,
  type PlanModels,
  sharedFractionOf,
} from './plan/plan.ts';
export { explainGroupPlan } from './plan/plan-explanation.ts';
export { findPlanProblems } from './plan/plan-problems.ts';
export { type Plan, planSchema } from './plan/plan-schema.ts';
export { recordsDataOf } from './plan/records-data.ts';
export { type TeacherPrecision, teacherPrecisions } from './teacher-precision.ts';
export {
  type TeacherSnapshot,
  type TeacherSnapshotOptions,
  teacherSnapshot,
} from './teacher-snapshot.ts';
export { deltaCodecs } from './tensor-delta.ts';
export { type Trainer, type TrainerOptions, trainer } from './trainer.ts';
export { exchangeModes } from './weight-exchange.ts';
export { trainersOf, type WorkersMode, type WorkersPlan, workersModes } from './workers-plan.ts';

/** The modules of the actors: what a node must be started with to run codistillation jobs. */
export const actorModules: readonly string[] = [
  dataShard.module,
  teacherSnapshot.module,
  parameterServer.module,
  trainer.module,
  evaluator.module,
];
