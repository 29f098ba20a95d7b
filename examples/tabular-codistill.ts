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
  describeColumns,
  describeTable,
  openDataset,
  prepareTable,
  readTableSchema,
  type TableDescription,
  type TableOptions,
  type TableSchema,
  writeCriteoFile,
} from 'codistill/datasets';
import { defineJob, type JobContext, type OptionProblem } from 'codistill/runtime';
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
  check: (options) => [...findPlanProblems(options), ...dataProblems(options)],
  explain: async (options, surroundings) => {
    const notes: string[] = [];
    const described = await describe(options, (note) => notes.push(note));
    const explanation = explainGroupPlan(planOf(options, described), surroundings);
    return { ...explanation, notes: [...notes, ...explanation.notes] };
  },
  async run(context) {
    const { dataset, bayesLoss } = await prepare(context);
    const { features, ...rest } = dataset;
    if (features.kind !== 'table') throw new TypeError('the prepared data are no table');
    const overNats = context.system.busKind === 'nats';
    const plan = planOf(context.options, { ...rest, features }, overNats);
    const group = await CodistillationGroup.spawn(context, plan);
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
    ...(await tableOptions(options, generated ? [path] : options.data)),
    onSchemaGuessed: (schema) => emit({ type: 'warning', message: describeGuess(schema) }),
    directory: prepared,
    signal,
    onProgress: (progress) => emit({ type: 'prepare', ...progress }),
  });
  const { rows, examples } = dataset.skipped;
  if (rows > 0) emit({ type: 'warning', message: `${rows} rows were left out: ${examples[0]}` });
  return { dataset, ...known };
}

function describeGuess(schema: TableSchema): string {
  return (
    `no schema was given; by the first rows the columns are: ${describeColumns(schema)}. ` +
    'If that is wrong, say what they are in a file and give its path as `schema`.'
  );
}

function dataProblems({ data, format, schema }: Options): readonly OptionProblem[] {
  const problems: OptionProblem[] = [];
  if (data.length === 0 && format !== 'criteo') {
    const allowed = `the files of the format ${format}: only those of criteo can be generated`;
    problems.push({ key: 'data', given: data, allowed });
  }
  if (schema !== undefined && format !== 'table') {
    const allowed = `nothing with the format ${format}, whose columns are known; it is for the format table`;
    problems.push({ key: 'schema', given: schema, allowed });
  }
  return problems;
}

async function tableOptions(
  options: Options,
  paths: readonly string[],
): Promise<Omit<TableOptions, 'directory'>> {
  const { replicas, partition, onBadRow } = options;
  return {
    ...(await filesOf(options, paths)),
    split: {
      replicas,
      sharedFraction: sharedFractionOf(options),
      heldOutFraction: partition.heldOutFraction,
    },
    onBadRow,
  };
}

async function filesOf(
  { format, schema, buckets }: Options,
  paths: readonly string[],
): Promise<Pick<TableOptions, 'paths' | 'heldOutPaths' | 'schema'>> {
  if (format === 'adult') return adultFiles(paths[0] as string);
  if (format === 'criteo') return { paths, schema: criteoSchema({ buckets }) };
  return schema === undefined ? { paths } : { paths, schema: await readTableSchema(schema) };
}

type Described = TableDescription & {
  /** Of the prepared data set. */
  readonly directory: string;
};

function planOf(options: Options, table: Described, overNats = false): GroupPlan {
  const { directory, classes, columns, features } = table;
  const widthOf = (column: string): number =>
    columns.find(({ name }) => name === column)?.shape[0] ?? 0;
  return groupPlanOf(options, recordsDataOf(options, directory), {
    overNats,
    modelOf: (replica) => ({
      kind: 'dense',
      ...overlay(options.model, options.perReplica[`${replica + 1}`]?.model),
      numericColumns: widthOf('numeric'),
      categoricalColumns: widthOf('categories'),
      buckets: Math.max(1, ...features.categorical.map(({ cardinality }) => cardinality)),
      classes: classes.length,
    }),
  });
}

/** What the data will be, as long as nothing is prepared. */
async function describe(options: Options, note: (text: string) => void): Promise<Described> {
  const description = await describeTable({
    ...(await tableOptions(options, options.data)),
    onSchemaGuessed: (schema) => note(describeGuess(schema)),
  });
  return { ...description, directory: '' };
}
