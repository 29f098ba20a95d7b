import test from 'ava';
import {
  findPlanProblems,
  groupPlanOf,
  type Plan,
  recordsDataOf,
  sharedFractionOf,
} from '../../../actors/index.ts';
import { planWarnings } from '../../../actors/plan/plan-warnings.ts';
import { smallPlan } from './small-plan.ts';

const model = {
  kind: 'dense',
  numericColumns: 2,
  categoricalColumns: 0,
  buckets: 1,
  embeddingSize: 1,
  hiddenSizes: [3],
  classes: 2,
} as const;
const source = { kind: 'records', directory: 'data', part: 0, batch: 4 } as const;

function groupPlan(plan: Plan, overNats = false) {
  const data = { replicas: Array.from({ length: plan.replicas }, () => source), heldOut: source };
  return groupPlanOf(plan, data, { modelOf: () => model, overNats });
}

const problemsOf = (document: Parameters<typeof smallPlan>[0]) =>
  findPlanProblems(smallPlan(document));

test('a plan without a word is one of two replicas that teach each other', (t) => {
  const { replicas, exchangeMode } = groupPlan(smallPlan());
  t.deepEqual(
    replicas.map(({ name, seed, teachers }) => ({ name, seed, teachers })),
    [
      { name: 'replica-1', seed: 1000, teachers: [1] },
      { name: 'replica-2', seed: 1001, teachers: [0] },
    ],
  );
  t.is(exchangeMode, 'scheduled');
  t.is(groupPlan(smallPlan(), true).exchangeMode, 'freshest');
  t.deepEqual(problemsOf({}), []);
});

test('a limit of age is kept: with it the mode auto is freshest on every bus', (t) => {
  const modeOf = (mode?: 'auto' | 'scheduled') =>
    groupPlan(smallPlan({ exchange: { mode, stalenessStepsMax: 50 } })).exchangeMode;
  t.is(modeOf(), 'freshest');
  t.is(modeOf('auto'), 'freshest');
  t.deepEqual(problemsOf({ exchange: { stalenessStepsMax: 50 } }), []);
});

test('predictions of texts are not saved, and the error says what compares them', (t) => {
  const plan = smallPlan({ evaluation: { savePredictions: true } });
  t.deepEqual(findPlanProblems(plan), []);
  const [problem] = findPlanProblems(plan, 'tokens');
  t.like(problem, { key: 'evaluation.savePredictions', given: true });
  t.regex(problem!.allowed, /actorctl churn RUN RUN .* by their checkpoints/);
});

test('a replica may have its own optimizer, rates, steps and seed', (t) => {
  const { replicas } = groupPlan(
    smallPlan({
      optimizer: { beta1: 0.8 },
      perReplica: {
        '2': {
          optimizer: { kind: 'adagrad' },
          learningRate: 0.5,
          steps: 20,
          seed: 7,
          weightDecay: 1,
        },
        '3': { optimizer: { beta2: 0.99 } },
      },
      replicas: 3,
    }),
  );
  t.deepEqual(
    replicas.map(({ optimizer }) => optimizer),
    [
      { kind: 'adam', beta1: 0.8, beta2: 0.999, epsilon: 1e-8 },
      { kind: 'adagrad', initialSum: 0.1 },
      { kind: 'adam', beta1: 0.8, beta2: 0.99, epsilon: 1e-8 },
    ],
  );
  t.like(replicas[1], { seed: 7, steps: 20, weightDecay: 1 });
  t.like(replicas[1]?.schedule, { peak: 0.5, steps: 20 });
  t.like(replicas[0]?.schedule, { peak: 0.1, steps: 10 });
});

test('the share of the data that all have follows from the partition', (t) => {
  const share = (partition: Parameters<typeof smallPlan>[0] & object) =>
    sharedFractionOf(smallPlan(partition));
  t.is(share({}), 0);
  t.is(share({ partition: { kind: 'same' } }), 1);
  t.is(share({ partition: { kind: 'shared', sharedFraction: 0.25 } }), 0.25);
});

test('each field that does not go with the others is named with what is allowed', (t) => {
  const problems = problemsOf({
    replicas: 2,
    optimizer: { kind: 'sgd', beta1: 0.5 },
    perReplica: { '2': { optimizer: { kind: 'adagrad', momentum: 0.5 } }, '3': {} },
    teachers: { '1': [2] },
    partition: { kind: 'same', sharedFraction: 0.5 },
    objective: { distillation: 'logit-mse', temperature: 2 },
    exchange: { mode: 'scheduled', stalenessStepsMax: 10, intervalSteps: 20 },
  });
  t.deepEqual(
    problems.map(({ key }) => key),
    [
      'perReplica.3',
      'optimizer.beta1',
      'perReplica.2.optimizer.momentum',
      'teachers',
      'partition.sharedFraction',
      'exchange.stalenessStepsMax',
      'exchange.stalenessStepsMax',
      'objective.temperature',
    ],
  );
  for (const { allowed } of problems) t.true(allowed.length > 0);
});

test('fields that would change nothing are named', (t) => {
  const keys = (plan: Parameters<typeof smallPlan>[0]) => problemsOf(plan).map(({ key }) => key);
  t.deepEqual(keys({ workers: { localSteps: 5, outerLearningRate: 1 } }), [
    'workers.localSteps',
    'workers.outerLearningRate',
  ]);
  t.deepEqual(keys({ workers: { mode: 'local', localSteps: 5, codec: 'int8' } }), []);
  t.deepEqual(keys({ workers: { codec: 'int8' } }), ['workers.codec']);
  t.deepEqual(keys({ workers: { codec: 'int8', backups: 1 } }), []);
  const second = (workers: object) => ({ perReplica: { '2': { workers } } });
  t.deepEqual(keys({ workers: { localSteps: 5 }, ...second({ mode: 'local' }) }), []);
  t.deepEqual(keys(second({ outerMomentum: 0.5 })), ['perReplica.2.workers.outerMomentum']);
  t.deepEqual(keys({ objective: { smoothing: { share: 0.2 } } }), ['objective.smoothing.share']);
  t.deepEqual(keys({ exchange: { beyond: 'wait' } }), ['exchange.beyond']);
});

test('a single local worker has an outer step as well', (t) => {
  const workersOf = (plan?: Parameters<typeof smallPlan>[0]) =>
    groupPlan(smallPlan(plan)).replicas[0]?.workers;
  t.is(workersOf(), undefined);
  t.like(workersOf({ workers: { mode: 'local', localSteps: 5 } }), { count: 1, localSteps: 5 });
});

test('a plan in which no teacher ever comes, or none is ever followed, is warned of', (t) => {
  const warningsOf = (plan: Parameters<typeof smallPlan>[0]) =>
    planWarnings(groupPlan(smallPlan(plan)));
  const exchange = { intervalSteps: 3 };
  t.deepEqual(warningsOf({ exchange }), []);
  t.regex(warningsOf({ exchange, burnInSteps: 10 })[0]!, /no teacher .* replica-1, replica-2/);
  t.regex(warningsOf({ exchange: { intervalSteps: 10 } })[0]!, /before .* step 10 \(burnInSteps 2/);
  t.deepEqual(warningsOf({ exchange: { intervalSteps: 9 } }), []);
  t.regex(
    warningsOf({ exchange: { intervalSteps: 10, mode: 'freshest' } })[0]!,
    /teachers stay as they were .* before a second exchange/,
  );
  t.deepEqual(warningsOf({ burnInSteps: 10, topology: 'none' }), []);
});

test('a custom graph has teachers that exist, each once, and nobody teaches itself', (t) => {
  const keys = (teachers: Record<string, number[]>) =>
    problemsOf({ replicas: 3, topology: 'custom', teachers }).map(({ key }) => key);
  t.deepEqual(keys({ '1': [2, 3], '2': [1] }), []);
  t.deepEqual(keys({ '1': [4], '2': [2], '3': [1, 1], '4': [1] }), [
    'teachers.1',
    'teachers.2',
    'teachers.3',
    'teachers.4',
  ]);
});

test('with the mode final no replica learns, over others, from itself', (t) => {
  const final = { exchange: { mode: 'final' }, replicas: 3 } as const;
  const keys = (plan: Parameters<typeof smallPlan>[0]) => problemsOf(plan).map(({ key }) => key);
  t.deepEqual(keys(final), ['exchange.mode']);
  t.deepEqual(keys({ ...final, topology: 'ring' }), ['exchange.mode']);
  t.deepEqual(keys({ ...final, topology: 'custom', teachers: { '3': [1, 2], '2': [1] } }), []);
});

test('replicas wait for one another only where all have as many steps', (t) => {
  const exchange = { mode: 'freshest', stalenessStepsMax: 50, beyond: 'wait' } as const;
  t.deepEqual(problemsOf({ exchange }), []);
  const [problem] = problemsOf({ exchange, perReplica: { '1': { steps: 5 } } });
  t.is(problem?.key, 'exchange.beyond');
});

test('held-out batches may have a size of their own, so that arms of any batch are scored on the same rows', (t) => {
  const sizes = (plan: Plan) => {
    const { replicas, heldOut } = recordsDataOf(plan, 'data');
    return {
      training: replicas[0]?.batch,
      heldOut: heldOut.batch,
      scored: groupPlan(plan).evaluationBatch,
    };
  };
  t.deepEqual(sizes(smallPlan({ batch: 8 })), { training: 8, heldOut: 8, scored: 8 });
  t.deepEqual(sizes(smallPlan({ batch: 8, evaluation: { batch: 2 } })), {
    training: 8,
    heldOut: 2,
    scored: 2,
  });
});
