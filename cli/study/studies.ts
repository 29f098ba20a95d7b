import type { Arm, Study, StudyOptions } from './study.ts';

/** A language model that two cores train in well under a minute; `--scale full` is for machines that have more. */
const smallLanguageModel: StudyOptions = {
  steps: 1500,
  replicas: 2,
  vocabularySize: 512,
  'model.embeddingSize': 32,
  'model.hiddenSize': 64,
  'model.layers': 1,
  batch: 16,
  time: 16,
  learningRate: 0.01,
  schedule: 'constant',
  burnInSteps: 150,
  'exchange.mode': 'scheduled',
  'evaluation.intervalSteps': 100,
  'evaluation.batches': 128,
  checkpointIntervalSteps: 500,
};

const fullLanguageModel: StudyOptions = {
  steps: 10_000,
  vocabularySize: 4096,
  'model.embeddingSize': 128,
  'model.hiddenSize': 512,
  'model.layers': 2,
  batch: 64,
  time: 32,
  learningRate: 0.004,
  burnInSteps: 1000,
  'evaluation.intervalSteps': 250,
};

const languageModel: Pick<Study, 'job' | 'options' | 'full'> = {
  job: 'lm-codistill',
  options: smallLanguageModel,
  full: fullLanguageModel,
};

const alone: Arm = { name: 'alone', options: { topology: 'none' } };

/** The studies that come with codistill, by the question that each asks. */
export const studies: readonly Study[] = [
  {
    ...languageModel,
    name: 'staleness',
    // A teacher 1000 steps old comes in at step 2000.
    options: { ...smallLanguageModel, steps: 2500 },
    question: 'How old may the copies of the teachers be?',
    arms: [
      ...[1, 10, 50, 100, 250, 1000].map((steps) => ({
        name: `every-${steps}`,
        options: { 'exchange.intervalSteps': steps },
      })),
      alone,
    ],
    baseline: 'every-50',
    seeds: 5,
    measures: ['loss', 'ensembleLoss', 'disagreement', 'exchangedBytes'],
    notes: [
      'A teacher is between one and two intervals old, because exchanges are scheduled. The first one that a student ' +
        'can have comes after two intervals.',
    ],
  },
  {
    ...languageModel,
    name: 'precision',
    question: 'How exactly must a teacher compute?',
    arms: ['f32', 'int8'].map((precision) => ({
      name: precision,
      options: { 'exchange.teacherPrecision': precision },
    })),
    baseline: 'f32',
    seeds: 5,
    measures: ['loss', 'ensembleLoss', 'disagreement'],
    notes: [],
  },
  {
    ...languageModel,
    name: 'bytes',
    question: 'How few bytes may an exchange of weights take?',
    arms: ['f32', 'bf16', 'f16', 'int8', 'int4', 'sparse'].map((codec) => ({
      name: codec,
      options: { 'exchange.codec': codec },
    })),
    baseline: 'f32',
    seeds: 5,
    measures: ['loss', 'fullShare', 'ensembleLoss', 'exchangedBytes'],
    notes: [
      'The bytes are those of the deltas as sent, the first full copy of each replica included.',
    ],
  },
  {
    ...languageModel,
    name: 'topology',
    question: 'How many models should teach one another, and who whom?',
    arms: [
      { name: 'one', options: { replicas: 1 } },
      { name: 'two', options: {} },
      { name: 'three', options: { replicas: 3 } },
      { name: 'four', options: { replicas: 4 } },
    ],
    baseline: 'two',
    seeds: 3,
    measures: ['loss', 'ensembleLoss', 'disagreement', 'exchangedBytes'],
    notes: [
      'Each replica trains for as many steps in every arm, so more replicas see more text in all.',
    ],
  },
  {
    ...languageModel,
    name: 'speedup',
    question:
      'Where a larger batch no longer helps: in how many steps do two groups reach its best loss?',
    arms: [
      { name: 'batch-16', options: { replicas: 1, batch: 16 } },
      { name: 'batch-32', options: { replicas: 1, batch: 32 } },
      { name: 'batch-64', options: { replicas: 1, batch: 64 } },
      { name: 'batch-128', options: { replicas: 1, batch: 128 } },
      { name: 'two-groups-of-64', options: { replicas: 2, batch: 64 } },
    ],
    baseline: 'batch-64',
    targetArm: 'batch-64',
    seeds: 5,
    measures: ['stepsToTarget', 'loss', 'ensembleLoss'],
    notes: [],
  },
];
