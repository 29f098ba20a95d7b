import type { Handle } from '../runtime/index.ts';
import type { ModelConfig } from '../training/index.ts';
import type { DataShard } from './data-shard.ts';
import type { TeacherSnapshot } from './exchange/teacher-snapshot.ts';
import type { DeltaCodec } from './exchange/tensor-delta.ts';
import type { BeyondStaleness, ExchangeMode } from './exchange/weight-exchange.ts';
import type { StudentOptions } from './student.ts';
import type { Membership } from './workers/open-learner.ts';

/** One of the other replicas, as this student meets it. */
export interface Teacher {
  readonly replica: string;
  readonly model: ModelConfig;
  readonly snapshot: Handle<TeacherSnapshot>;
  /** Of its whole training. */
  readonly steps: number;
}

export interface TrainerOptions
  extends Omit<StudentOptions, 'teacherModels' | 'givesGradients' | 'firstLane'> {
  readonly steps: number;
  readonly exchangeMode: ExchangeMode;
  readonly beyondStaleness: BeyondStaleness;
  readonly exchangeIntervalSteps: number;
  readonly codec: DeltaCodec;
  readonly checkpointIntervalSteps: number;
  readonly evaluationIntervalSteps: number;
  /** Batches read ahead at most. */
  readonly prefetchBatches: number;
  readonly data: Handle<DataShard>;
  /** Where this replica publishes; nowhere when it has no students. */
  readonly snapshot?: Handle<TeacherSnapshot>;
  readonly teachers: readonly Teacher[];
  readonly membership?: Membership;
  /** How long a restarting actor or a bus that is away is waited for. */
  readonly patienceMs: number;
}
