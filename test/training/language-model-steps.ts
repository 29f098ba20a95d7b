import {
  type AdamConfig,
  createEvaluationStep,
  createTrainingStep,
  defaultObjective,
  type LanguageModelConfig,
  lstmModel,
  type Step,
} from '../../training/index.ts';

/** The settings of a step whose student and teachers are LSTM language models. */
export interface LanguageModelStepConfig {
  readonly model: LanguageModelConfig;
  readonly batch: number;
  readonly time: number;
  readonly teachers: readonly LanguageModelConfig[];
  readonly optimizer: AdamConfig;
  readonly clipNorm: number;
  readonly distillWeight: number;
  readonly restartIntervalSteps?: number;
}

export function languageModelStep(config: LanguageModelStepConfig): Step {
  const { batch, time, restartIntervalSteps, optimizer, clipNorm } = config;
  const restarts = restartIntervalSteps === undefined ? {} : { restartIntervalSteps };
  return createTrainingStep({
    model: lstmModel({ ...config.model, time, ...restarts }),
    batch,
    teachers: config.teachers.map((teacher) => lstmModel({ ...teacher, time })),
    optimizer: { kind: 'adam', ...optimizer },
    weightDecay: 0,
    clipNorm,
    objective: { ...defaultObjective, weight: config.distillWeight },
  });
}

export function languageModelEvaluation(config: {
  readonly models: readonly LanguageModelConfig[];
  readonly batch: number;
  readonly time: number;
}): Step {
  const { models, batch, time } = config;
  return createEvaluationStep({
    models: models.map((model) => lstmModel({ ...model, time })),
    batch,
  });
}
