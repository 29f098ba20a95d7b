export { createRandomGenerator, type RandomGenerator } from '../random.ts';
export type { AdamConfig } from './adam.ts';
export {
  type ClassificationScores,
  classificationScores,
  ensembleProbabilities,
} from './classification-scores.ts';
export {
  type CodistillationObjective,
  type CodistillationObjectiveInputs,
  codistillationObjective,
} from './codistillation-objective.ts';
export { checkComparable } from './comparable-models.ts';
export { criteoNetwork, type DenseNetworkConfig, denseNetwork } from './dense-network.ts';
export { createEvaluationStep, type EvaluationStepConfig } from './evaluation-step.ts';
export { forwardFlop } from './flop.ts';
export { importedWeights } from './imported-weights.ts';
export { createInference, type Inference } from './inference.ts';
export { createInferenceStep } from './inference-step.ts';
export { initialiseParameters } from './initialisation.ts';
export { forward, type LanguageModelOutput } from './language-model.ts';
export {
  checkLanguageModelConfig,
  type LanguageModelConfig,
  languageModelParameters,
  recurrentStateShapes,
} from './language-model-config.ts';
export { type LearningRateSchedule, learningRateAt } from './learning-rate-schedule.ts';
export { type LstmModelConfig, lstmModel } from './lstm-model.ts';
export { type Model, type Shapes, weightShapes } from './model.ts';
export { createModel, type ModelConfig, modelKinds } from './model-config.ts';
export type { Network, NetworkMode, NetworkOutput } from './network.ts';
export { networkModel } from './network-model.ts';
export {
  type Distillation,
  defaultObjective,
  distillations,
  distillWeightAt,
  type ObjectiveConfig,
  type Smoothing,
} from './objective-config.ts';
export { type OptimizerConfig, optimizerSlots } from './optimizer.ts';
export {
  initialUpdateState,
  type UpdateConfig,
  updateParameters,
  updateState,
} from './parameter-update.ts';
export {
  type ResidualNetworkConfig,
  residualNetwork,
  resNet18,
  resNet50,
} from './residual-network.ts';
export { timeMajor } from './row-order.ts';
export { entriesUnder, placeUnder, type Step } from './step-state.ts';
export {
  createGradientStep,
  createTrainingStep,
  initialTrainingState,
  isTeacherWeight,
  type TrainingStepConfig,
  teacherMatrices,
} from './training-step.ts';
export { smallTransformer, type TransformerConfig, transformer } from './transformer.ts';
export { createUpdateStep, type UpdateStepConfig } from './update-step.ts';
