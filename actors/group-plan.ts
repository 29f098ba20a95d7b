import type { EngineName } from '../compiler/index.ts';
import type { DataSource } from '../datasets/index.ts';
import type {
  LearningRateSchedule,
  ModelConfig,
  ObjectiveConfig,
  UpdateConfig,
} from '../training/index.ts';
import type { TeacherPrecision } from './exchange/teacher-precision.ts';
import type { DeltaCodec } from './exchange/tensor-delta.ts';
import type { BeyondStaleness, ExchangeMode } from './exchange/weight-exchange.ts';
import type { Carriage } from './student.ts';
import type { WorkersPlan } from './workers/workers-plan.ts';

/** One of the models of a group, and what it trains on. */
export interface ReplicaPlan extends UpdateConfig {
  readonly name: string;
  readonly seed: number;
  readonly steps: number;
  readonly model: ModelConfig;
  readonly schedule: LearningRateSchedule;
  /** On the job's own host. With several workers a batch of it holds those of all their Trainers. */
  readonly data: DataSource;
  /** Indices of the replicas that teach it. */
  readonly teachers: readonly number[];
  /** Without it one Trainer does all. */
  readonly workers?: WorkersPlan;
}

/** All that says what a codistillation group does, in the terms of its actors. */
export interface GroupPlan {
  readonly replicas: readonly ReplicaPlan[];
  /** Examples, or lanes of text, in one step of a Trainer. */
  readonly batch: number;
  /** Nobody trains on it. */
  readonly heldOut: DataSource;
  readonly evaluationBatches: number;
  /** Examples, or lanes of text, in each of them. */
  readonly evaluationBatch: number;
  readonly evaluationIntervalSteps: number;
  /** Whether the last evaluation keeps what each replica says of each held-out row. */
  readonly savesPredictions: boolean;
  readonly objective: ObjectiveConfig;
  readonly teacherPrecision: TeacherPrecision;
  readonly burnInSteps: number;
  readonly exchangeMode: ExchangeMode;
  /** How old a teacher may be in the mode `freshest`; null: any age. */
  readonly stalenessStepsMax: number | null;
  readonly beyondStaleness: BeyondStaleness;
  readonly carries: Carriage;
  readonly exchangeIntervalSteps: number;
  readonly codec: DeltaCodec;
  readonly checkpointIntervalSteps: number;
  readonly engine: EngineName | 'auto';
  readonly threads: number;
  /** How long a restarting actor or a bus that is away is waited for. */
  readonly patienceMs: number;
  /** Restarts of one actor before the run gives up. */
  readonly restartsMax: number;
}
