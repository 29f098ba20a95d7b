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
        options: {
          'exchange.intervalSteps': steps,
          // A snapshot saves all versions of the last two checkpoint intervals with each exchange.
          checkpointIntervalSteps: Math.min(500, 4 * steps),
        },
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
    arms: ['f32', 'f16', 'int8', 'int4'].map((precision) => ({
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
    arms: [
      ...['f32', 'bf16', 'f16', 'int8', 'int4', 'sparse'].map((codec) => ({
        name: codec,
        options: { 'exchange.codec': codec },
      })),
      {
        name: 'diloco-equal-bytes',
        options: {
          replicas: 1,
          'workers.count': 2,
          'workers.mode': 'local',
          'workers.localSteps': 107,
          'partition.kind': 'same',
        },
      },
    ],
    baseline: 'f32',
    seeds: 5,
    measures: ['loss', 'deltaShare', 'exchangedBytes', 'ensembleLoss'],
    notes: [
      'All bytes are those of the arrays as sent; in the bytes of a run the first full copy of each replica is included.',
      'In diloco-equal-bytes two workers average what they learned, at intervals that make its bytes about those of f32: ' +
        'both send their change to a server and get the weights back. Its one model has read what the two replicas have.',
    ],
  },
  {
    ...languageModel,
    name: 'partition',
    question: 'Must each model have data of its own?',
    arms: [
      ...['disjoint', 'same'].map((kind) => ({ name: kind, options: { 'partition.kind': kind } })),
      alone,
    ],
    baseline: 'disjoint',
    seeds: 5,
    measures: ['loss', 'ensembleLoss', 'disagreement'],
    notes: [
      'With the text and the steps that the study has by itself no replica sees a text twice in any arm. In the arm same ' +
        'both see the same batches in the same order.',
    ],
  },
  {
    ...languageModel,
    name: 'topology',
    question: 'How many models should teach one another, and who whom?',
    arms: [
      { name: 'one', options: { replicas: 1 } },
      { name: 'two', options: { replicas: 2 } },
      ...[3, 4].flatMap((replicas) =>
        ['all', 'ring'].map((topology) => ({
          name: `${replicas}-${topology}`,
          options: { replicas, topology },
        })),
      ),
    ],
    baseline: 'two',
    seeds: 3,
    measures: ['loss', 'ensembleLoss', 'disagreement', 'exchangedBytes'],
    notes: [
      'Each replica takes as many steps in every arm, so more replicas see more text in all.',
    ],
  },
  {
    ...languageModel,
    name: 'architectures',
    question: 'What does a model gain from a teacher of another architecture?',
    arms: [
      { name: 'lstm-alone', options: { topology: 'none' }, replica: 1 },
      { name: 'lstm-with-lstm', options: {}, replica: 1 },
      {
        name: 'lstm-with-wide-lstm',
        options: { 'perReplica.2.model.hiddenSize': 128 },
        replica: 1,
      },
      {
        name: 'lstm-with-transformer',
        options: {
          'perReplica.2.model.kind': 'transformer',
          'perReplica.2.model.width': 64,
          'perReplica.2.model.heads': 4,
          'perReplica.2.learningRate': 0.003,
        },
        replica: 1,
      },
    ],
    baseline: 'lstm-with-lstm',
    seeds: 3,
    measures: ['loss', 'disagreement'],
    notes: ['The loss is that of the first replica, the LSTM that all arms have.'],
  },
  {
    ...languageModel,
    name: 'offline',
    question: 'Is it as well to train a teacher first, and then a student, in as many steps?',
    arms: [
      { name: 'codistilled', options: {}, replica: 2 },
      {
        name: 'two-phase',
        options: {
          topology: 'custom',
          'teachers.2': '[1]',
          'exchange.mode': 'final',
          burnInSteps: 0,
          'perReplica.1.steps': 1000,
          'perReplica.2.steps': 500,
        },
        replica: 2,
      },
      {
        name: 'two-phase-twice-as-long',
        options: {
          topology: 'custom',
          'teachers.2': '[1]',
          'exchange.mode': 'final',
          burnInSteps: 0,
        },
        replica: 2,
      },
      { name: 'alone', options: { topology: 'none' }, replica: 2 },
    ],
    baseline: 'codistilled',
    seeds: 3,
    measures: ['loss'],
    notes: [
      'The loss is that of the second replica. In two-phase it learns in the last third of the steps, from a teacher ' +
        'that learned in the first two thirds; in two-phase-twice-as-long both have as many steps as all others have.',
    ],
  },
  {
    ...languageModel,
    name: 'smoothing',
    question: 'Is codistillation no more than smoother targets?',
    arms: [
      { name: 'codistilled', options: {} },
      alone,
      ...['uniform', 'unigram'].flatMap((kind) =>
        [0.02, 0.1].map((share) => ({
          name: `${kind}-${share}`,
          options: {
            topology: 'none',
            'objective.smoothing.kind': kind,
            'objective.smoothing.share': share,
          },
        })),
      ),
    ],
    baseline: 'codistilled',
    seeds: 3,
    measures: ['loss', 'ensembleLoss'],
    notes: [],
  },
  {
    name: 'churn',
    question: 'How much do predictions change when a model is trained again?',
    job: 'tabular-codistill',
    options: {
      steps: 1000,
      'exchange.intervalSteps': 5,
      'optimizer.beta1': 0,
      'evaluation.savePredictions': true,
      checkpointIntervalSteps: 25,
    },
    full: { rows: 2_000_000, steps: 6000, 'model.hiddenSizes': [2560, 1024, 256] },
    arms: [
      { name: 'one', options: { replicas: 1 } },
      {
        name: 'ensemble',
        options: { replicas: 2, topology: 'none', 'partition.kind': 'same' },
        served: 'average',
      },
      ...[1, 3].map((weight) => ({
        name: `codistilled-weight-${weight}`,
        options: { replicas: 2, 'partition.kind': 'same', 'objective.weight': weight },
      })),
      {
        name: 'three-codistilled-weight-3',
        options: { replicas: 3, 'partition.kind': 'same', 'objective.weight': 3 },
      },
      { name: 'one-decayed', options: { replicas: 1, weightDecay: 0.001 } },
      {
        name: 'codistilled-decayed',
        options: {
          replicas: 2,
          'partition.kind': 'same',
          'objective.weight': 3,
          weightDecay: 0.001,
        },
      },
    ],
    baseline: 'one',
    seeds: 5,
    measures: ['churn', 'servedLoss', 'flips'],
    choice: {
      among: ['codistilled-weight-1', 'codistilled-weight-3', 'three-codistilled-weight-3'],
      least: 'churn',
      notAbove: 'servedLoss',
    },
    notes: [
      'Retraining is another seed: other first weights, another order of the rows. Of codistilled models the first is ' +
        'served, of the ensemble the average of both.',
      'All replicas train on all rows: with halves of so small a table each model is worse than one that has all of it.',
      'Adam has no momentum here (beta1 = 0): two students with momentum that follow each other by copies some steps old ' +
        'overshoot when the weight is well above 1, and lose what agreement brings.',
      'The arms one-decayed and codistilled-decayed have a weight decay of 0.001. It calms a model by itself, so an arm ' +
        'with it is to be compared with the other arm that has it.',
    ],
  },
  {
    ...languageModel,
    name: 'speedup',
    question:
      'Where a larger batch no longer helps, in how many steps do two groups reach its loss?',
    // A model so small that its gradients have little noise at these batches; rates are the best of a sweep of each.
    options: {
      ...smallLanguageModel,
      vocabularySize: 320,
      'model.embeddingSize': 16,
      'model.hiddenSize': 32,
      learningRate: 0.04,
      warmupSteps: 20,
      steps: 400,
      burnInSteps: 150,
      'objective.rampSteps': 100,
      'exchange.intervalSteps': 5,
      checkpointIntervalSteps: 25,
      'evaluation.intervalSteps': 10,
      'evaluation.batch': 64,
      'evaluation.batches': 16,
    },
    arms: [
      ...[64, 128, 256, 512].map((batch) => ({
        name: `batch-${batch}`,
        options: { replicas: 1, batch },
      })),
      ...[0.1, 0.3].map((weight) => ({
        name: `two-groups-of-256-weight-${weight}`,
        options: { replicas: 2, batch: 256, 'objective.weight': weight },
      })),
    ],
    baseline: 'batch-256',
    targetArm: 'batch-256',
    seeds: 5,
    measures: ['stepsToTarget', 'loss', 'ensembleLoss'],
    notes: [
      'One worker with W times the batch computes what W synchronous workers do, so batches stand for groups of workers.',
      'All arms are scored on the same held-out text, 16,384 word pieces.',
    ],
  },
];
