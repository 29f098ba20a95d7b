// Dense networks that teach one another on a table (Anil et al. 2018, section 3.5: Criteo's display ads).
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  actorModules,
  CodistillationGroup,
  explainGroupPlan,
  extra,
  findPlanProblems,
  type GroupPlan,
  groupPlanOf,
  option,
  overlay,
  planSchema,
  recordsDataOf,
  sharedFractionOf,
  whole,
} from 'codistill/actors';
import {
  adultFiles,
  criteoSchema,
  type Dataset,
  inferTableSchema,
  openDataset,
  prepareTable,
  readTableSchema,
  type TableOptions,
  writeCriteoFile,
} from 'codistill/datasets';
import { defineJob, type JobContext } from 'codistill/runtime';
import * as v from 'valibot';

const options = planSchema(
  {
    steps: 300,
    batch: 256,
    learningRate: 0.002,
    warmupSteps: 0,
    clipNorm: null,
    weightDecay: 0,
    burnInSteps: 100,
    optimizer: 'adam',
    heldOutFraction: 0.2,
    evaluationBatches: 1000,
  },
  {
    model: {
      hiddenSizes: option(
        v.array(whole(1, 16_384)),
        [256, 128, 64],
        'units of each layer; the paper: 2560, 1024, 256',
      ),
      embeddingSize: option(whole(1, 1024), 8, 'numbers in the vector of a category'),
    },
    own: {
      data: option(
        v.array(v.string()),
        [],
        'CSV, TSV or parquet files, for the format adult their folder; none: rows are generated in Criteo’s format',
      ),
      format: option(
        v.picklist(['criteo', 'adult', 'table']),
        'criteo',
        'what the files are; table: as `schema` says, or as their first rows look',
      ),
      schema: extra(v.string(), 'a JSON file that says what the columns of a table are'),
      buckets: option(whole(2, 1 << 24), 1000, 'of criteo: numbers that a category is hashed to'),
      rows: option(whole(1000, 1e9), 40_000, 'that are generated'),
      onBadRow: option(
        v.picklist(['stop', 'skip']),
        'stop',
        'what is done with a row that can’t be used',
      ),
    },
  },
);
type Options = v.InferOutput<typeof options>;

export default defineJob({
  name: 'tabular-codistill',
  description: 'Train dense networks that teach one another on the rows of a table.',
  options,
  modules: actorModules,
  check: findPlanProblems,
  explain: async (options, surroundings) =>
    explainGroupPlan(planOf(options, await placeholder(options)), surroundings),
  async run(context) {
    const { dataset, bayesLoss } = await prepare(context);
    const overNats = context.system.busKind === 'nats';
    const group = await CodistillationGroup.spawn(
      context,
      planOf(context.options, dataset, overNats),
    );
    await group.train();
    await group.emitResult(bayesLoss === undefined ? {} : { bayesLoss });
  },
});

interface Prepared {
  readonly dataset: Dataset;
  /** Of generated rows: what the best possible prediction would get. */
  readonly bayesLoss?: number;
}

/** Prepared once; a resumed run opens what it prepared before. */
async function prepare(context: JobContext<Options>): Promise<Prepared> {
  const { options, resumed, runDirectory, signal, emit } = context;
  const directory = join(runDirectory, 'data');
  const generated = options.data.length === 0;
  await mkdir(directory, { recursive: true });
  const path = join(directory, 'criteo.tsv');
  // It is cheap to write again, and says what no prepared data set does.
  const bayesLoss = generated
    ? (await writeCriteoFile(path, { rows: options.rows, seed: 0 })).bayesLogLoss
    : undefined;
  const known = bayesLoss === undefined ? {} : { bayesLoss };
  const prepared = join(directory, 'table');
  // A run that was stopped while it prepared its data has none yet.
  if (resumed && existsSync(join(prepared, 'dataset.json'))) {
    return { dataset: await openDataset(prepared), ...known };
  }
  const dataset = await prepareTable({
    ...(await filesOf(options, generated ? [path] : options.data)),
    split: {
      replicas: options.replicas,
      sharedFraction: sharedFractionOf(options),
      heldOutFraction: options.partition.heldOutFraction,
    },
    onBadRow: options.onBadRow,
    directory: prepared,
    signal,
    onProgress: (progress) => emit({ type: 'prepare', ...progress }),
  });
  const { rows, examples } = dataset.skipped;
  if (rows > 0) emit({ type: 'warning', message: `${rows} rows were left out: ${examples[0]}` });
  return { dataset, ...known };
}

async function filesOf(
  { format, schema, buckets }: Options,
  paths: readonly string[],
): Promise<Pick<TableOptions, 'paths' | 'heldOutPaths' | 'schema'>> {
  if (format === 'adult') return adultFiles(paths[0] as string);
  if (format === 'criteo') return { paths, schema: criteoSchema({ buckets }) };
  return schema === undefined ? { paths } : { paths, schema: await readTableSchema(schema) };
}

type Columns = Pick<Dataset, 'directory' | 'columns' | 'classes'> & {
  /** The largest number of values of a categorical column. */
  readonly buckets: number;
};

function planOf(options: Options, dataset: Dataset | Columns, overNats = false): GroupPlan {
  const { directory, classes } = dataset;
  const widthOf = (column: string): number =>
    dataset.columns.find(({ name }) => name === column)?.shape[0] ?? 0;
  return groupPlanOf(options, recordsDataOf(options, directory), {
    overNats,
    modelOf: (replica) => ({
      kind: 'dense',
      ...overlay(options.model, options.perReplica[`${replica + 1}`]?.model),
      numericColumns: widthOf('numeric'),
      categoricalColumns: widthOf('categories'),
      buckets: 'buckets' in dataset ? dataset.buckets : bucketsOf(dataset),
      classes: classes.length,
    }),
  });
}

function bucketsOf({ features }: Dataset): number {
  if (features.kind !== 'table') return 1;
  return Math.max(1, ...features.categorical.map(({ cardinality }) => cardinality));
}

/** As long as nothing is prepared: categories have as many values as `buckets` says, labels two. */
async function placeholder(options: Options): Promise<Columns> {
  const files = await filesOf(options, options.data);
  const { columns } = files.schema ?? (await inferTableSchema(files.paths[0] as string));
  const count = (kind: string): number => columns.filter((column) => column.kind === kind).length;
  const label = columns.find((column) => column.kind === 'label');
  return {
    directory: '',
    classes: label?.classes ?? ['0', '1'],
    buckets: options.buckets,
    columns: [
      { name: 'numeric', type: 'float32', shape: [count('numeric')] },
      { name: 'categories', type: 'int32', shape: [count('categorical')] },
    ],
  };
}
