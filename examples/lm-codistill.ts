// Language models that teach one another on text (Anil et al. 2018, section 3.3, at any size).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  actorModules,
  CodistillationGroup,
  evaluationBatchOf,
  explainGroupPlan,
  extra,
  findPlanProblems,
  type GroupPlan,
  groupPlanOf,
  largestBatch,
  option,
  overlay,
  planSchema,
  sharedFractionOf,
  whole,
} from 'codistill/actors';
import {
  type Corpus,
  listTextSources,
  openCorpus,
  prepareCorpus,
  shareText,
} from 'codistill/datasets';
import { defineJob, type JobContext, type OptionProblem } from 'codistill/runtime';
import type { ModelConfig } from 'codistill/training';
import * as v from 'valibot';

/** Of the kind lstm; a field of another kind than the model's would change nothing. */
const lstmSizes = { embeddingSize: 128, hiddenSize: 256, restartIntervalSteps: 16 } as const;
const kindOfField = {
  embeddingSize: 'lstm',
  hiddenSize: 'lstm',
  restartIntervalSteps: 'lstm',
  width: 'transformer',
  heads: 'transformer',
} as const;

const options = planSchema(
  {
    steps: 500,
    batch: 32,
    learningRate: 0.004,
    warmupSteps: 50,
    clipNorm: 1,
    weightDecay: 0,
    burnInSteps: 150,
    optimizer: 'adam',
    heldOutFraction: 0.05,
    evaluationBatches: 32,
  },
  {
    model: {
      kind: option(v.picklist(['lstm', 'transformer']), 'lstm', 'which kind of language model'),
      embeddingSize: option(
        whole(1, 8192),
        lstmSizes.embeddingSize,
        'of lstm: numbers in the vector of a word piece',
      ),
      hiddenSize: option(whole(2, 16_384), lstmSizes.hiddenSize, 'of lstm: units of each layer'),
      layers: option(whole(1, 64), 2, 'of either kind'),
      restartIntervalSteps: option(
        whole(0, 1e9),
        lstmSizes.restartIntervalSteps,
        'of lstm: steps after which a lane of text starts from an empty state; 0: never',
      ),
      width: extra(whole(1, 16_384), 'of transformer: numbers in the stream; 256'),
      heads: extra(whole(1, 256), 'of transformer: each an equal part of the width; 4'),
    },
    own: {
      data: option(
        v.array(v.string()),
        [],
        'text files, folders, .gz or .jsonl; none: the documentation of the installed packages',
      ),
      vocabularySize: option(whole(300, 65_536), 4096, 'word pieces'),
      time: option(whole(1, 1024), 32, 'word pieces of a lane in one step'),
    },
  },
);
type Options = v.InferOutput<typeof options>;

export default defineJob({
  name: 'lm-codistill',
  description: 'Train language models that teach one another on text.',
  options,
  modules: actorModules,
  check: (options) => [...findPlanProblems(options, 'tokens'), ...modelProblems(options)],
  explain: async (options, surroundings) => {
    if (options.data.length > 0) await listTextSources(options.data);
    return explainGroupPlan(planOf(options, placeholder(options)), surroundings);
  },
  async run(context) {
    const corpus = await corpusOf(context);
    const overNats = context.system.busKind === 'nats';
    const plan = planOf(context.options, corpus, overNats);
    const group = await CodistillationGroup.spawn(context, plan);
    await group.train();
    await group.emitResult({ unigramLoss: corpus.unigramLoss });
  },
});

function modelProblems({ model, perReplica, replicas }: Options): readonly OptionProblem[] {
  const kinds = Array.from(
    { length: replicas },
    (_, index) => perReplica[`${index + 1}`]?.model?.kind ?? model.kind,
  );
  const defaults: Partial<Record<keyof typeof kindOfField, number>> = lstmSizes;
  return (Object.keys(kindOfField) as (keyof typeof kindOfField)[]).flatMap((field) => {
    const kind = kindOfField[field];
    const changed = model[field] !== defaults[field];
    const places: readonly (readonly [string, unknown, readonly string[]])[] = [
      ['model', changed ? model[field] : undefined, kinds],
      ...Object.entries(perReplica).map(
        ([number, own]) =>
          [
            `perReplica.${number}.model`,
            own.model?.[field],
            [kinds[Number(number) - 1] ?? kind],
          ] as const,
      ),
    ];
    return places
      .filter(([, given, users]) => given !== undefined && !users.includes(kind))
      .map(([place, given]) => ({
        key: `${place}.${field}`,
        given,
        allowed: `nothing: only models of the kind ${kind} have it`,
      }));
  });
}

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
    heldOutFraction: options.partition.heldOutFraction,
    // Each lane of a shard holds at least one window and the token after it.
    tokensMin: Math.max(largestBatch(options), evaluationBatchOf(options)) * (options.time + 1),
    directory,
    signal,
    onProgress: (progress) => emit({ type: 'prepare', ...progress }),
  });
}

type Texts = Pick<Corpus, 'vocabularySize' | 'shards' | 'heldOut'>;

function planOf(options: Options, corpus: Texts, overNats = false): GroupPlan {
  const { batch, time } = options;
  const paths = corpus.shards.map(({ path }) => path);
  const data = {
    replicas: paths.map((_, index) => ({
      kind: 'text' as const,
      parts: shareText(paths, index, sharedFractionOf(options)),
      batch,
      time,
    })),
    heldOut: {
      kind: 'text' as const,
      parts: [{ path: corpus.heldOut.path, from: 0, to: 1 }],
      batch: evaluationBatchOf(options),
      time,
    },
  };
  // A small text may have fewer pieces than were asked for.
  const { vocabularySize } = corpus;
  const modelOf = (replica: number): ModelConfig => {
    const own = options.perReplica[`${replica + 1}`]?.model;
    const { kind, layers, width = 256, heads = 4, ...lstm } = overlay(options.model, own);
    return kind === 'lstm'
      ? { kind, vocabularySize, time, layers, ...lstm }
      : { kind, vocabularySize, time, layers, width, heads };
  };
  return groupPlanOf(options, data, { modelOf, overNats });
}

/** As long as nothing is prepared. */
function placeholder({ vocabularySize, replicas }: Options): Texts {
  const file = { path: '', tokenCount: 0 };
  return { vocabularySize, shards: Array.from({ length: replicas }, () => file), heldOut: file };
}
