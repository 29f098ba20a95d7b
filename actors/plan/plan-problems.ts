import type { OptionProblem } from '../../runtime/index.ts';
import type { Model } from '../../training/index.ts';
import { replicaEntries } from './plan.ts';
import { outerStepDefaults, type Plan, smoothingShareDefault } from './plan-schema.ts';
import { teachersOf } from './topology.ts';

/** Which settings belong to which kind of optimizer. */
const optimizerSettings = {
  adam: ['beta1', 'beta2', 'epsilon'],
  sgd: [],
  momentum: ['momentum'],
  adagrad: ['initialSum'],
} as const;

/** All fields of a plan that don't go together, each with what is allowed; `unit` is what its models' rows are. */
export function findPlanProblems(
  plan: Plan,
  unit: Model['unit'] = 'examples',
): readonly OptionProblem[] {
  return [
    ...predictionProblems(plan, unit),
    ...perReplicaProblems(plan),
    ...optimizerProblems(plan),
    ...teacherProblems(plan),
    ...partitionProblems(plan),
    ...exchangeProblems(plan),
    ...objectiveProblems(plan),
    ...workerProblems(plan),
  ];
}

function predictionProblems(
  { evaluation: { savePredictions } }: Plan,
  unit: Model['unit'],
): readonly OptionProblem[] {
  if (!savePredictions || unit === 'examples') return [];
  const allowed =
    'false with texts, which have a probability for each word piece at each place; actorctl churn RUN RUN compares ' +
    'runs on texts by their checkpoints, and needs no predictions';
  return [{ key: 'evaluation.savePredictions', given: savePredictions, allowed }];
}

function perReplicaProblems({ perReplica, replicas }: Plan): readonly OptionProblem[] {
  return Object.keys(perReplica)
    .filter((number) => Number(number) > replicas)
    .map((number) => ({
      key: `perReplica.${number}`,
      given: Number(number),
      allowed: `the number of a replica, 1 to ${replicas}`,
    }));
}

function optimizerProblems(plan: Plan): readonly OptionProblem[] {
  const entries: readonly (readonly [string, Plan['optimizer'], object])[] = [
    ['optimizer', plan.optimizer, plan.optimizer],
    ...Object.entries(plan.perReplica).flatMap(([number, { optimizer }]) =>
      optimizer === undefined
        ? []
        : [
            [
              `perReplica.${number}.optimizer`,
              replicaEntries(plan, Number(number) - 1).optimizer,
              optimizer,
            ] as const,
          ],
    ),
  ];
  return entries.flatMap(([key, { kind }, given]) => {
    const known: readonly string[] = ['kind', ...optimizerSettings[kind]];
    return Object.entries(given)
      .filter(([name]) => !known.includes(name))
      .map(([name, value]) => ({
        key: `${key}.${name}`,
        given: value,
        allowed: `nothing: ${kind} takes ${optimizerSettings[kind].join(', ') || 'no settings'}`,
      }));
  });
}

function teacherProblems({ topology, teachers, replicas }: Plan): readonly OptionProblem[] {
  if (topology !== 'custom') {
    if (Object.keys(teachers).length === 0) return [];
    const allowed = `nothing with the topology ${topology}: they are for custom`;
    return [{ key: 'teachers', given: teachers, allowed }];
  }
  return Object.entries(teachers).flatMap(([student, numbers]) => {
    const wrong = numbers.filter(
      (number, at) =>
        number > replicas || number === Number(student) || numbers.indexOf(number) !== at,
    );
    if (wrong.length === 0 && Number(student) <= replicas) return [];
    const allowed = `different replicas of 1 to ${replicas}, for a student of 1 to ${replicas} that is none of them`;
    return [{ key: `teachers.${student}`, given: numbers, allowed }];
  });
}

function partitionProblems({ partition }: Plan): readonly OptionProblem[] {
  const { kind, sharedFraction } = partition;
  if ((kind === 'shared') === (sharedFraction !== undefined)) return [];
  const allowed =
    kind === 'shared'
      ? 'a number from 0 to 1, as partition.kind is shared'
      : `nothing, as partition.kind is ${kind}`;
  return [{ key: 'partition.sharedFraction', given: sharedFraction, allowed }];
}

function exchangeProblems(plan: Plan): readonly OptionProblem[] {
  const { mode, stalenessStepsMax, intervalSteps, beyond } = plan.exchange;
  const problems: OptionProblem[] = [];
  if (mode === 'final' && teachesItself(plan)) {
    const allowed =
      'a mode other than final: with it no replica may learn from one that learns from it, as the teacher ends first';
    problems.push({ key: 'exchange.mode', given: mode, allowed });
  }
  const key = 'exchange.stalenessStepsMax';
  if (stalenessStepsMax !== null && mode !== 'freshest' && mode !== 'auto') {
    const allowed = `null with the mode ${mode}, which has its own staleness`;
    problems.push({ key, given: stalenessStepsMax, allowed });
  }
  if (stalenessStepsMax !== null && stalenessStepsMax < intervalSteps) {
    const allowed = `null or at least exchange.intervalSteps (${intervalSteps}): a teacher is that old before its next version`;
    problems.push({ key, given: stalenessStepsMax, allowed });
  }
  if (stalenessStepsMax === null && beyond !== 'skip') {
    const allowed = 'nothing without exchange.stalenessStepsMax, the age that is meant';
    problems.push({ key: 'exchange.beyond', given: beyond, allowed });
  }
  const steps = new Set(indicesOf(plan).map((replica) => replicaEntries(plan, replica).steps));
  if (stalenessStepsMax !== null && beyond === 'wait' && steps.size > 1) {
    const allowed = 'skip where replicas have different steps: nobody waits for one that has ended';
    problems.push({ key: 'exchange.beyond', given: beyond, allowed });
  }
  return problems;
}

/** Whether some replica is, over others, a teacher of its own. */
function teachesItself(plan: Plan): boolean {
  const teachers = teachersOf(plan.topology, plan.replicas, plan.teachers);
  const reaches = (from: number, to: number, seen: Set<number>): boolean =>
    (teachers[from] ?? []).some((teacher) => {
      if (teacher === to) return true;
      if (seen.has(teacher)) return false;
      seen.add(teacher);
      return reaches(teacher, to, seen);
    });
  return indicesOf(plan).some((replica) => reaches(replica, replica, new Set()));
}

function indicesOf({ replicas }: Plan): readonly number[] {
  return Array.from({ length: replicas }, (_, index) => index);
}

type Workers = Plan['workers'];

function workerProblems(plan: Plan): readonly OptionProblem[] {
  const all = indicesOf(plan).map((replica) => replicaEntries(plan, replica).workers);
  const backups = all
    .filter(({ mode, backups }) => mode !== 'synchronous' && backups > 0)
    .slice(0, 1)
    .map(({ mode, backups }) => ({
      key: 'workers.backups',
      given: backups,
      allowed: `0: nobody waits for ${mode} workers that are slow`,
    }));
  return [...backups, ...idleWorkerProblems(plan, all)];
}

/** Fields that change nothing, in all replicas or in the one that has its own. */
function idleWorkerProblems(plan: Plan, all: readonly Workers[]): readonly OptionProblem[] {
  const isLocal = ({ mode }: Workers): boolean => mode === 'local';
  const gives = (one: Workers): boolean => isLocal(one) || one.count + one.backups > 1;
  const outer = ['localSteps', 'outerLearningRate', 'outerMomentum'] as const;
  const checks = [
    ...outer.map((field) => {
      const none: unknown = outerStepDefaults[field];
      return { field, none, counts: isLocal, why: 'only workers of the mode local have it' };
    }),
    { field: 'codec', none: 'f32', counts: gives, why: 'a single worker gives nothing to others' },
  ] as const;
  return checks.flatMap(({ field, none, counts, why }) => {
    const places: readonly (readonly [string, unknown, readonly Workers[]])[] = [
      ['workers', plan.workers[field], all],
      ...Object.entries(plan.perReplica).map(([number, { workers }]) => {
        const own = all[Number(number) - 1];
        return [`perReplica.${number}.workers`, workers?.[field], own ? [own] : []] as const;
      }),
    ];
    return places
      .filter(([, given, users]) => given !== undefined && given !== none && !users.some(counts))
      .map(([place, given]) => ({ key: `${place}.${field}`, given, allowed: `${none}: ${why}` }));
  });
}

function objectiveProblems({ objective }: Plan): readonly OptionProblem[] {
  const { distillation, temperature, smoothing } = objective;
  const problems: OptionProblem[] = [];
  if (distillation === 'logit-mse' && temperature !== 1) {
    const allowed = '1 with the distillation logit-mse, which has no temperature';
    problems.push({ key: 'objective.temperature', given: temperature, allowed });
  }
  if (smoothing.kind === 'none' && smoothing.share !== smoothingShareDefault) {
    const allowed = 'nothing while objective.smoothing.kind is none: choose uniform or unigram';
    problems.push({ key: 'objective.smoothing.share', given: smoothing.share, allowed });
  }
  return problems;
}
