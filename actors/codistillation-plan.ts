import type { EngineName } from '../compiler/index.ts';
import type { AdamConfig, LanguageModelConfig, LearningRateSchedule } from '../training/index.ts';
import type { DeltaCodec } from './tensor-delta.ts';
import type { TeacherPrecision } from './trainer.ts';
import type { ExchangeMode } from './weight-exchange.ts';

/** All that says what a codistillation group of language models does. */
export interface CodistillationPlan {
  readonly replicas: number;
  readonly steps: number;
  readonly seed: number;
  readonly model: LanguageModelConfig;
  readonly batch: number;
  readonly time: number;
  readonly optimizer: AdamConfig;
  readonly schedule: LearningRateSchedule;
  readonly clipNorm: number;
  readonly distillWeight: number;
  readonly teacherPrecision: TeacherPrecision;
  /** Steps after which a lane of text forgets its recurrent state; 0: never. */
  readonly restartIntervalSteps: number;
  readonly burnInSteps: number;
  readonly exchangeMode: ExchangeMode;
  readonly exchangeIntervalSteps: number;
  readonly codec: DeltaCodec;
  readonly checkpointIntervalSteps: number;
  readonly evaluationIntervalSteps: number;
  readonly evaluationWindows: number;
  readonly engine: EngineName | 'auto';
  readonly threads: number;
  /** How long a restarting actor or a bus that is away is waited for. */
  readonly patienceMs: number;
  /** Restarts of one actor before the run gives up. */
  readonly restartsMax: number;
}
