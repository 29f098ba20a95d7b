import type { DataSource } from '../../datasets/index.ts';
import { UserInputError } from '../../errors.ts';
import {
  checkComparable,
  createModel,
  type ModelConfig,
  type ObjectiveConfig,
  type OptimizerConfig,
} from '../../training/index.ts';
import type { ExchangeMode } from '../exchange/weight-exchange.ts';
import type { GroupPlan, ReplicaPlan } from '../group-plan.ts';
import { hasServer, trainersOf, type WorkersPlan } from '../workers/workers-plan.ts';
import type { Plan } from './plan-schema.ts';
import { teachersOf } from './topology.ts';

/** Where the batches of each replica and of the evaluation come from. */
export interface PlanData {
  readonly replicas: readonly DataSource[];
  readonly heldOut: DataSource;
}

/** What a plan's replicas need that only the example knows. */
export interface PlanModels {
  /** The model of the replica with this index. */
  readonly modelOf: (replica: number) => ModelConfig;
  /** Whether the run's bus is a nats-server: the mode `auto` is `freshest` there. */
  readonly overNats: boolean;
}

/**
 * The plan in the terms of a group's actors. The plan has no problems (`findPlanProblems`).
 * @throws UserInputError that names each model that can't be, and each that its teacher can't be compared with.
 */
export function groupPlanOf(plan: Plan, data: PlanData, models: PlanModels): GroupPlan {
  const { exchange, evaluation, batch, burnInSteps, checkpointIntervalSteps } = plan;
  const { engine, threads, patienceMs, restartsMax } = plan;
  const teachers = teachersOf(plan.topology, plan.replicas, plan.teachers);
  const replicas = Array.from({ length: plan.replicas }, (_, index) =>
    replicaPlanOf(plan, index, {
      model: models.modelOf(index),
      data: {
        ...(data.replicas[index] as DataSource),
        batch: plan.batch * trainersOf(workersPlanOf(plan, index)),
      },
      teachers: teachers[index] as readonly number[],
    }),
  );
  checkModels(replicas);
  return {
    batch,
    burnInSteps,
    checkpointIntervalSteps,
    engine,
    threads,
    patienceMs,
    restartsMax,
    replicas,
    heldOut: data.heldOut,
    evaluationBatches: evaluation.batches,
    evaluationBatch: evaluationBatchOf(plan),
    evaluationIntervalSteps: evaluation.intervalSteps,
    savesPredictions: evaluation.savePredictions,
    objective: objectiveOf(plan),
    teacherPrecision: exchange.teacherPrecision,
    exchangeMode: exchangeModeOf(plan, models),
    exchangeIntervalSteps: exchange.intervalSteps,
    carries: exchange.carries,
    codec: exchange.codec,
    stalenessStepsMax: exchange.stalenessStepsMax,
    beyondStaleness: exchange.beyond,
  };
}

/** A limit of age is of `freshest` alone, so where the plan has one it says which mode is meant. */
function exchangeModeOf(
  { exchange: { mode, stalenessStepsMax } }: Plan,
  { overNats }: PlanModels,
): ExchangeMode {
  if (mode !== 'auto') return mode;
  return overNats || stalenessStepsMax !== null ? 'freshest' : 'scheduled';
}

/** What one replica's entry in `perReplica` says, with the plan's own where it says nothing. */
export function replicaEntries(plan: Plan, replica: number) {
  const own = plan.perReplica[`${replica + 1}`] ?? {};
  return {
    // Far apart, so that the replicas of one run and those of the next seed differ.
    seed: own.seed ?? plan.seed * 1000 + replica,
    steps: own.steps ?? plan.steps,
    learningRate: own.learningRate ?? plan.learningRate,
    weightDecay: own.weightDecay ?? plan.weightDecay,
    // Another kind of optimizer takes none of the plan's settings along.
    optimizer: overlay<Plan['optimizer']>(
      (own.optimizer?.kind ?? plan.optimizer.kind) === plan.optimizer.kind
        ? plan.optimizer
        : { kind: plan.optimizer.kind },
      own.optimizer,
    ),
    workers: overlay(plan.workers, own.workers),
  };
}

/** The workers of one replica. */
function workersPlanOf(plan: Plan, replica: number): WorkersPlan {
  const { mode, count, codec, ...rest } = replicaEntries(plan, replica).workers;
  if (mode === 'asynchronous') return { mode, count, codec };
  if (mode === 'synchronous') return { mode, count, codec, backups: rest.backups };
  const { localSteps, outerLearningRate, outerMomentum } = rest;
  return { mode, count, codec, localSteps, outerLearningRate, outerMomentum };
}

/** Examples, or lanes, of one held-out batch. */
export function evaluationBatchOf({ evaluation, batch }: Plan): number {
  return evaluation.batch ?? batch;
}

/** Examples, or lanes, that all workers of the largest replica train on in one step. */
export function largestBatch(plan: Plan): number {
  const trainers = Array.from({ length: plan.replicas }, (_, replica) =>
    trainersOf(workersPlanOf(plan, replica)),
  );
  return plan.batch * Math.max(...trainers);
}

/** Share of the training data that all replicas have. */
export function sharedFractionOf({ partition }: Plan): number {
  const { kind, sharedFraction = 0 } = partition;
  return kind === 'same' ? 1 : kind === 'shared' ? sharedFraction : 0;
}

/** `base` with what `own` says otherwise. */
export function overlay<T extends object>(
  base: T,
  own: { readonly [Name in keyof T]?: T[Name] | undefined } = {},
): T {
  const said = Object.entries(own).filter(([, value]) => value !== undefined);
  return { ...base, ...(Object.fromEntries(said) as Partial<T>) };
}

function replicaPlanOf(
  plan: Plan,
  replica: number,
  rest: Pick<ReplicaPlan, 'model' | 'data' | 'teachers'>,
): ReplicaPlan {
  const { seed, steps, learningRate, weightDecay, optimizer } = replicaEntries(plan, replica);
  const workers = workersPlanOf(plan, replica);
  const { schedule, warmupSteps, clipNorm } = plan;
  return {
    name: `replica-${replica + 1}`,
    seed,
    steps,
    optimizer: optimizerOf(optimizer),
    schedule: { kind: schedule, peak: learningRate, warmupSteps, steps },
    weightDecay,
    ...(clipNorm !== null && { clipNorm }),
    ...(hasServer(workers) && { workers }),
    ...rest,
  };
}

function checkModels(replicas: readonly ReplicaPlan[]): void {
  const problems: string[] = [];
  const attempt = <T>(name: string, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      problems.push(`${name}: ${error.message}.`);
      return undefined;
    }
  };
  const models = replicas.map(({ name, model }) => attempt(name, () => createModel(model)));
  for (const [index, { name, teachers }] of replicas.entries()) {
    const student = models[index];
    for (const teacher of teachers) {
      const other = models[teacher];
      if (student === undefined || other === undefined) continue;
      attempt(name, () =>
        checkComparable(`its teacher ${replicas[teacher]?.name}`, other, student),
      );
    }
  }
  if (problems.length > 0) throw new UserInputError(problems.join(' '));
}

function optimizerOf(entry: Plan['optimizer']): OptimizerConfig {
  const { kind, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8 } = entry;
  switch (kind) {
    case 'adam':
      return { kind, beta1, beta2, epsilon };
    case 'sgd':
      return { kind };
    case 'momentum':
      return { kind, momentum: entry.momentum ?? 0.9 };
    case 'adagrad':
      return { kind, initialSum: entry.initialSum ?? 0.1 };
  }
}

function objectiveOf({ objective }: Plan): ObjectiveConfig {
  const { kind, share } = objective.smoothing;
  return { ...objective, smoothing: kind === 'none' ? { kind } : { kind, share } };
}
