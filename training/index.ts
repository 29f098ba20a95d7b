export type { AdamConfig } from './adam.ts';
export {
  type CodistillationObjective,
  type CodistillationObjectiveInputs,
  codistillationObjective,
} from './codistillation-objective.ts';
export { createEvaluationStep, type EvaluationStepConfig } from './evaluation-step.ts';
export { initialiseParameters } from './initialisation.ts';
export { forward, type LanguageModelOutput, timeMajor } from './language-model.ts';
export {
  checkLanguageModelConfig,
  type LanguageModelConfig,
  languageModelParameters,
  recurrentStateShapes,
} from './language-model-config.ts';
export { type LearningRateSchedule, learningRateAt } from './learning-rate-schedule.ts';
export { createRandomGenerator, type RandomGenerator } from './random.ts';
export type { Step } from './step-state.ts';
export { createTrainingStep, type TrainingStepConfig } from './training-step.ts';
