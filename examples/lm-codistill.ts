// LSTM language models that teach one another on text (Anil et al. 2018, section 3.3, at any size).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  actorModules,
  CodistillationGroup,
  deltaCodecs,
  exchangeModes,
  type GroupPlan,
  teacherPrecisions,
} from 'codistill/actors';
import { engineNames } from 'codistill/compiler';
import { type Corpus, openCorpus, prepareCorpus } from 'codistill/datasets';
import { defineJob, type JobContext } from 'codistill/runtime';
import { defaultObjective } from 'codistill/training';
import * as v from 'valibot';

const options = v.object({
  data: option(
    v.array(v.string()),
    [],
    'text files, folders, .gz or .jsonl; none: the documentation of the installed packages',
  ),
  steps: option(whole(1, 1e9), 500, 'training steps of each replica'),
  replicas: option(whole(1, 64), 2, 'models that teach one another'),
  seed: option(whole(0, 1e9), 1, 'of the initial weights'),
  vocabularySize: option(whole(300, 65_536), 4096, 'word pieces'),
  embeddingSize: option(whole(1, 8192), 128, 'numbers in the vector of a word piece'),
  hiddenSize: option(whole(2, 16_384), 256, 'units of each LSTM layer'),
  layers: option(whole(1, 8), 2, 'LSTM layers'),
  batch: option(whole(1, 4096), 32, 'lanes of text side by side'),
  time: option(whole(1, 1024), 32, 'word pieces of a lane in one step'),
  learningRate: option(positive(), 0.004, 'of Adam, after warm-up'),
  schedule: option(v.picklist(['cosine', 'constant']), 'cosine', 'how the learning rate moves'),
  warmupSteps: option(whole(0, 1e9), 50, 'steps in which the learning rate grows to its peak'),
  clipNorm: option(positive(), 1, 'largest norm of the gradient'),
  restartIntervalSteps: option(
    whole(0, 1e9),
    16,
    'steps after which a lane of text starts from an empty state; 0: never',
  ),
  burnInSteps: option(whole(0, 1e9), 150, 'steps before the teachers come in'),
  distillWeight: option(v.pipe(v.number(), v.minValue(0)), 1, 'weight of the distillation loss'),
  teacherPrecision: option(v.picklist(teacherPrecisions), 'f32', 'how teachers compute'),
  exchange: option(
    v.picklist(['auto', ...exchangeModes]),
    'auto',
    'which version of a teacher a student takes; auto: freshest over NATS, else scheduled',
  ),
  exchangeIntervalSteps: option(whole(1, 1e9), 50, 'steps between two exchanges of weights'),
  codec: option(v.picklist(deltaCodecs), 'f32', 'how exchanged weights are coded'),
  checkpointIntervalSteps: option(whole(1, 1e9), 100, 'steps between two checkpoints'),
  evaluationIntervalSteps: option(whole(1, 1e9), 100, 'steps between two evaluations'),
  evaluationWindows: option(whole(1, 1e6), 32, 'held-out windows of batch × time tokens scored'),
  heldOutFraction: option(
    v.pipe(v.number(), v.gtValue(0), v.ltValue(0.5)),
    0.05,
    'share of the text that nobody trains on',
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
});
type Options = v.InferOutput<typeof options>;

export default defineJob({
  name: 'lm-codistill',
  description: 'Train LSTM language models that teach one another on text.',
  options,
  modules: actorModules,
  async run(context) {
    const corpus = await corpusOf(context);
    const group = await CodistillationGroup.spawn(context, planOf(context, corpus));
    await group.train();
    await group.emitResult({ unigramLoss: corpus.unigramLoss });
  },
});

/** Prepared once; a resumed run opens what it prepared before. */
async function corpusOf(context: JobContext<Options>): Promise<Corpus> {
  const { options, resumed, runDirectory, signal, emit } = context;
  const directory = join(runDirectory, 'data');
  // A run that was stopped while it prepared its data has none yet.
  if (resumed && existsSync(join(directory, 'corpus.json'))) return await openCorpus(directory);
  return await prepareCorpus({
    ...(options.data.length > 0 && { paths: options.data }),
    vocabularySize: options.vocabularySize,
    replicas: options.replicas,
    heldOutFraction: options.heldOutFraction,
    // Each lane of a shard holds at least one window and the token after it.
    tokensMin: options.batch * (options.time + 1),
    directory,
    signal,
    onProgress: (progress) => emit({ type: 'prepare', ...progress }),
  });
}

function planOf({ options, system }: JobContext<Options>, corpus: Corpus): GroupPlan {
  const { batch, time, steps, exchange, evaluationWindows } = options;
  const { embeddingSize, hiddenSize, layers, restartIntervalSteps } = options;
  const { learningRate: peak, warmupSteps, clipNorm } = options;
  // A small text may have fewer pieces than were asked for.
  const { vocabularySize } = corpus;
  const sizes = { vocabularySize, embeddingSize, hiddenSize, layers };
  const indices = corpus.shards.map((_, index) => index);
  return {
    ...options,
    replicas: corpus.shards.map(({ path }, index) => ({
      name: `replica-${index + 1}`,
      // Far apart, so that the replicas of one run and those of the next seed differ.
      seed: options.seed * 1000 + index,
      model: { kind: 'lstm', ...sizes, time, restartIntervalSteps },
      optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
      schedule: { kind: options.schedule, peak, warmupSteps, steps },
      weightDecay: 0,
      clipNorm,
      data: { kind: 'text', path, batch, time },
      teachers: indices.filter((teacher) => teacher !== index),
    })),
    heldOut: { kind: 'text', path: corpus.heldOut.path, batch, time },
    evaluationBatches: evaluationWindows,
    objective: { ...defaultObjective, weight: options.distillWeight },
    exchangeMode:
      exchange !== 'auto' ? exchange : system.busKind === 'nats' ? 'freshest' : 'scheduled',
  };
}

function option<Schema extends v.GenericSchema>(
  schema: Schema,
  fallback: v.InferInput<Schema>,
  description: string,
) {
  return v.pipe(v.optional(schema, fallback as never), v.description(description));
}

function whole(least: number, most: number) {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
}

function positive() {
  return v.pipe(v.number(), v.gtValue(0));
}
