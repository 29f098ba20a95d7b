import { dataShard } from './data-shard.ts';
import { evaluator } from './evaluator.ts';
import { teacherSnapshot } from './exchange/teacher-snapshot.ts';
import { trainer } from './trainer.ts';
import { gradientBranch } from './workers/gradient-branch.ts';
import { parameterServer } from './workers/parameter-server.ts';

export { CodistillationGroup } from './codistillation-group.ts';
export { type DataShard, type DataShardOptions, dataShard } from './data-shard.ts';
export { type Evaluation, Evaluator, type EvaluatorOptions, evaluator } from './evaluator.ts';
export { type TeacherPrecision, teacherPrecisions } from './exchange/teacher-precision.ts';
export {
  type TeacherSnapshot,
  type TeacherSnapshotOptions,
  teacherSnapshot,
} from './exchange/teacher-snapshot.ts';
export { deltaCodecs } from './exchange/tensor-delta.ts';
export { exchangeModes } from './exchange/weight-exchange.ts';
export { type GroupFile, readGroupFile } from './group-file.ts';
export type { GroupPlan, ReplicaPlan } from './group-plan.ts';
export { extra, notNegative, option, positive, share, whole } from './plan/option.ts';
export {
  evaluationBatchOf,
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
export { type Trainer, trainer } from './trainer.ts';
export type { TrainerOptions } from './trainer-options.ts';
export {
  type ParameterServer,
  type ParameterServerOptions,
  parameterServer,
} from './workers/parameter-server.ts';
export {
  trainersOf,
  type WorkersMode,
  type WorkersPlan,
  workersModes,
} from './workers/workers-plan.ts';

/** The modules of the actors: what a node must be started with to run codistillation jobs. */
export const actorModules: readonly string[] = [
  dataShard.module,
  teacherSnapshot.module,
  parameterServer.module,
  gradientBranch.module,
  trainer.module,
  evaluator.module,
];
