import * as v from 'valibot';
import { engineNames } from '../../compiler/index.ts';
import { distillations } from '../../training/index.ts';
import { teacherPrecisions } from '../exchange/teacher-precision.ts';
import { deltaCodecs } from '../exchange/tensor-delta.ts';
import { beyondStaleness, exchangeModes } from '../exchange/weight-exchange.ts';
import { carriages } from '../student.ts';
import { workersModes } from '../workers/workers-plan.ts';
import { extra, notNegative, option, positive, share, whole } from './option.ts';

export const topologies = ['all', 'ring', 'pairs', 'none', 'custom'] as const;
const partitions = ['disjoint', 'same', 'shared'] as const;
const optimizerKinds = ['adam', 'sgd', 'momentum', 'adagrad'] as const;

const optimizerSettings = {
  beta1: extra(share(), 'of adam: decay of the first moment; 0.9'),
  beta2: extra(share(), 'of adam: decay of the second moment; 0.999'),
  epsilon: extra(positive(), 'of adam: added to the root of the second moment; 1e-8'),
  momentum: extra(share(), 'of momentum; 0.9'),
  initialSum: extra(positive(), 'of adagrad: what the sum of squares begins at; 0.1'),
};

/** What only workers of the mode `local` have. */
export const outerStepDefaults = {
  localSteps: 50,
  outerLearningRate: 0.7,
  outerMomentum: 0.9,
} as const;
export const smoothingShareDefault = 0.1;

const workers = v.strictObject({
  count: option(whole(1, 256), 1, 'Trainers of each replica, each with a batch of its own'),
  mode: option(
    v.picklist(workersModes),
    'synchronous',
    'whether they share each update, update in turn, or average what they learned by themselves (local)',
  ),
  codec: option(v.picklist(deltaCodecs), 'f32', 'how what they give one another is coded'),
  backups: option(whole(0, 64), 0, 'more Trainers than a synchronous update waits for'),
  localSteps: option(
    whole(1, 1e6),
    outerStepDefaults.localSteps,
    'steps that local workers take by themselves',
  ),
  outerLearningRate: option(
    positive(),
    outerStepDefaults.outerLearningRate,
    "of local workers' mean change",
  ),
  outerMomentum: option(share(), outerStepDefaults.outerMomentum, "of local workers' mean change"),
});

const smoothing = v.strictObject({
  kind: option(
    v.picklist(['none', 'uniform', 'unigram'] as const),
    'none',
    'which classes get a share of each target: all alike, or by how frequent they are',
  ),
  share: option(share(), smoothingShareDefault, 'of each target, where smoothing has a kind'),
});

const objective = v.strictObject({
  distillation: option(
    v.picklist(distillations),
    'cross-entropy',
    'how a student is pulled towards its teachers',
  ),
  weight: option(
    notNegative(),
    1,
    'of the distillation term; above 1 take an optimizer without momentum',
  ),
  rampSteps: option(whole(0, 1e9), 0, 'steps after burn-in in which the weight grows to its own'),
  temperature: option(positive(), 1, 'by which logits are divided in the distillation term'),
  smoothing: v.optional(smoothing, {}),
});

const exchange = v.strictObject({
  mode: option(
    v.picklist(['auto', ...exchangeModes]),
    'auto',
    'which version of a teacher a student takes; auto: freshest over NATS or with stalenessStepsMax, else scheduled',
  ),
  intervalSteps: option(whole(1, 1e9), 50, 'steps between two exchanges'),
  carries: option(
    v.picklist(carriages),
    'weights',
    'whether a student runs its teachers, or their snapshots answer with predictions',
  ),
  codec: option(v.picklist(deltaCodecs), 'f32', 'how exchanged weights are coded'),
  teacherPrecision: option(v.picklist(teacherPrecisions), 'f32', 'how teachers compute'),
  stalenessStepsMax: option(
    v.nullable(whole(1, 1e9)),
    null,
    'how old a teacher may be with the mode freshest; null: any age',
  ),
  beyond: option(
    v.picklist(beyondStaleness),
    'skip',
    'what is done beyond that: skip that teacher, or wait for it',
  ),
});

/** The number of a replica, from 1 on. */
const replicaNumber = v.pipe(v.string(), v.regex(/^[1-9]\d*$/, 'the number of a replica, from 1'));

/** What an example sets for itself. */
export interface PlanDefaults {
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly clipNorm: number | null;
  readonly weightDecay: number;
  readonly burnInSteps: number;
  readonly optimizer: (typeof optimizerKinds)[number];
  readonly heldOutFraction: number;
  /** Held-out batches that are scored. */
  readonly evaluationBatches: number;
}

/**
 * The schema of a plan: all that can be said of a codistillation group. `model` has the sizes of an example's models,
 * `own` the example's other entries, such as where its data is.
 */
export function planSchema<const Model extends v.ObjectEntries, const Own extends v.ObjectEntries>(
  defaults: PlanDefaults,
  { model, own }: { readonly model: Model; readonly own: Own },
) {
  const models = v.strictObject(model);
  const optimizer = v.strictObject({
    kind: option(v.picklist(optimizerKinds), defaults.optimizer, 'how gradients change weights'),
    ...optimizerSettings,
  });
  const evaluation = v.strictObject({
    intervalSteps: option(whole(1, 1e9), 100, 'steps between two evaluations'),
    batches: option(whole(1, 1e6), defaults.evaluationBatches, 'held-out batches that are scored'),
    batch: option(
      v.nullable(whole(1, 1_000_000)),
      null,
      'examples, or lanes of text, in one of them; null: as many as in a step of training',
    ),
    savePredictions: option(
      v.boolean(),
      false,
      'whether the last evaluation keeps all predictions, for actorctl churn; of examples',
    ),
  });
  const partition = v.strictObject({
    kind: option(
      v.picklist(partitions),
      'disjoint',
      'what part of the data each replica has: its own, all of it, or its own and a shared part',
    ),
    sharedFraction: extra(
      v.pipe(v.number(), v.minValue(0), v.maxValue(1)),
      'of the training data, for the kind shared',
    ),
    heldOutFraction: option(
      v.pipe(v.number(), v.gtValue(0), v.ltValue(0.5)),
      defaults.heldOutFraction,
      'share of the data that nobody trains on',
    ),
  });
  const learningRate = v.pipe(v.number(), v.gtValue(0));
  const perReplica = v.strictObject({
    model: extra(v.partial(models), 'sizes that differ'),
    optimizer: extra(v.partial(optimizer), 'another optimizer'),
    learningRate: extra(learningRate, 'another peak of the learning rate'),
    weightDecay: extra(notNegative(), 'another decay'),
    seed: extra(
      whole(0, Number.MAX_SAFE_INTEGER),
      'of its first weights and the order of its data',
    ),
    steps: extra(whole(1, 1e9), 'other training steps'),
    workers: extra(v.partial(workers), 'other workers'),
  });
  return v.strictObject({
    ...own,
    steps: option(whole(1, 1e9), defaults.steps, 'training steps of each replica'),
    replicas: option(whole(1, 64), 2, 'models that teach one another'),
    seed: option(whole(0, 1e9), 1, 'of first weights and of all order'),
    batch: option(whole(1, 1_000_000), defaults.batch, 'examples, or lanes of text, in one step'),
    model: v.optional(models, {} as never),
    optimizer: v.optional(optimizer, {}),
    learningRate: option(learningRate, defaults.learningRate, 'after warm-up'),
    schedule: option(
      v.picklist(['cosine', 'constant'] as const),
      'cosine',
      'how the learning rate moves',
    ),
    warmupSteps: option(
      whole(0, 1e9),
      defaults.warmupSteps,
      'steps in which the learning rate grows to its peak',
    ),
    clipNorm: option(
      v.nullable(positive()),
      defaults.clipNorm,
      'largest norm of the gradient; null: any',
    ),
    weightDecay: option(notNegative(), defaults.weightDecay, 'factor of ½·|w|² in the objective'),
    workers: v.optional(workers, {}),
    topology: option(
      v.picklist(topologies),
      'all',
      'who teaches whom: all the others, the one before (ring), the one beside (pairs), nobody (none), or as `teachers` says (custom)',
    ),
    teachers: option(
      v.record(replicaNumber, v.array(whole(1, 64))),
      {},
      'for the topology custom: by the number of a student those of its teachers',
    ),
    partition: v.optional(partition, {}),
    objective: v.optional(objective, {}),
    burnInSteps: option(whole(0, 1e9), defaults.burnInSteps, 'steps before the teachers come in'),
    exchange: v.optional(exchange, {}),
    evaluation: v.optional(evaluation, {}),
    checkpointIntervalSteps: option(
      whole(1, 1e9),
      100,
      'steps between two checkpoints; snapshots keep the versions of two such intervals',
    ),
    engine: option(
      v.picklist(['auto', ...engineNames]),
      'auto',
      'what computes the steps (see actorctl doctor)',
    ),
    threads: option(whole(1, 256), 1, 'threads of each replica'),
    patienceMs: option(
      whole(1000, 86_400_000),
      60_000,
      'how long a restarting actor or a bus that is away is waited for',
    ),
    restartsMax: option(whole(0, 1000), 10, 'restarts of one actor before the run gives up'),
    perReplica: v.pipe(
      v.optional(v.record(replicaNumber, perReplica), {}),
      v.description('what differs for one replica, by its number'),
    ),
  });
}

/** Of any example: what its plan says besides the example's own entries. */
export type Plan = v.InferOutput<
  ReturnType<typeof planSchema<Record<never, never>, Record<never, never>>>
>;
