// Residual networks that teach one another on images (Anil et al. 2018, section 3.4, at any size).
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  actorModules,
  CodistillationGroup,
  explainGroupPlan,
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
  type Dataset,
  fashionClasses,
  type ImageSource,
  openCifarImages,
  openDataset,
  openIdxImages,
  openImageFolder,
  prepareImages,
  shapeImages,
} from 'codistill/datasets';
import { defineJob, type JobContext } from 'codistill/runtime';
import * as v from 'valibot';

const options = planSchema(
  {
    steps: 150,
    batch: 32,
    learningRate: 0.005,
    warmupSteps: 20,
    clipNorm: null,
    weightDecay: 1e-4,
    burnInSteps: 50,
    optimizer: 'adam',
    heldOutFraction: 0.2,
    evaluationBatches: 1000,
  },
  {
    model: {
      block: option(v.picklist(['basic', 'bottleneck']), 'basic', 'what a stage is made of'),
      stages: option(
        v.array(whole(1, 64)),
        [1, 1, 1],
        'blocks of each stage; ResNet-18: 2, 2, 2, 2',
      ),
      width: option(whole(1, 1024), 16, 'channels of the first stage; ResNet-18: 64'),
      stem: option(v.picklist(['small', 'large']), 'small', 'large: for images over 64 pixels'),
    },
    own: {
      data: option(
        v.array(v.string()),
        [],
        'the folder of the images, for cifar their files; none: pictures of shapes are drawn',
      ),
      format: option(
        v.picklist(['fashion', 'mnist', 'cifar', 'folder']),
        'fashion',
        'what the files are: IDX of Fashion-MNIST or MNIST, CIFAR-10’s binary files, or a folder for each class',
      ),
      images: option(whole(100, 1e7), 4000, 'that are drawn'),
      imageSize: option(whole(8, 256), 16, 'pixels each way of those that are drawn'),
      onBadRow: option(
        v.picklist(['stop', 'skip']),
        'stop',
        'what is done with an image that can’t be used',
      ),
    },
  },
);
type Options = v.InferOutput<typeof options>;

export default defineJob({
  name: 'image-codistill',
  description: 'Train residual networks that teach one another on images.',
  options,
  modules: actorModules,
  check: findPlanProblems,
  explain: async (options, surroundings) => {
    const { source } = await openImages(options);
    return explainGroupPlan(planOf(options, { directory: '', ...source }), surroundings);
  },
  async run(context) {
    const { directory, features, classes } = await prepare(context);
    if (features.kind !== 'image') throw new TypeError('the prepared data are no images');
    const overNats = context.system.busKind === 'nats';
    const plan = planOf(context.options, { directory, classes, ...features }, overNats);
    const group = await CodistillationGroup.spawn(context, plan);
    await group.train();
    await group.emitResult();
  },
});

/** Prepared once; a resumed run opens what it prepared before. */
async function prepare(context: JobContext<Options>): Promise<Dataset> {
  const { options, resumed, runDirectory, signal, emit } = context;
  const directory = join(runDirectory, 'data');
  // A run that was stopped while it prepared its data has none yet.
  if (resumed && existsSync(join(directory, 'dataset.json'))) return await openDataset(directory);
  const dataset = await prepareImages({
    ...(await openImages(options)),
    split: {
      replicas: options.replicas,
      sharedFraction: sharedFractionOf(options),
      heldOutFraction: options.partition.heldOutFraction,
    },
    onBadRow: options.onBadRow,
    directory,
    signal,
    onProgress: (progress) => emit({ type: 'prepare', ...progress }),
  });
  const { rows, examples } = dataset.skipped;
  if (rows > 0) emit({ type: 'warning', message: `${rows} images were left out: ${examples[0]}` });
  return dataset;
}

/** Where the data have a test part of their own, that is held out. */
async function openImages(
  options: Options,
): Promise<{ readonly source: ImageSource; readonly heldOutSource?: ImageSource }> {
  const { data, format, images: count, imageSize: size } = options;
  const [folder] = data;
  if (folder === undefined) return { source: shapeImages({ count, size, seed: 0 }) };
  if (format === 'cifar') return { source: await openCifarImages(data) };
  if (format === 'folder') return { source: await openImageFolder(folder) };
  const open = (part: string) =>
    openIdxImages({
      images: idxFile(folder, `${part}-images-idx3-ubyte`),
      labels: idxFile(folder, `${part}-labels-idx1-ubyte`),
      ...(format === 'fashion' && { classes: fashionClasses }),
    });
  return { source: await open('train'), heldOutSource: await open('t10k') };
}

/** As it is or packed, as the publisher gives it. */
function idxFile(folder: string, name: string): string {
  const path = join(folder, name);
  return existsSync(path) ? path : `${path}.gz`;
}

interface Images extends Pick<ImageSource, 'height' | 'width' | 'channels' | 'classes'> {
  /** Of the prepared data set. */
  readonly directory: string;
}

function planOf(options: Options, images: Images, overNats = false): GroupPlan {
  const { directory, height, width, channels, classes } = images;
  return groupPlanOf(options, recordsDataOf(options, directory), {
    overNats,
    modelOf: (replica) => ({
      kind: 'residual',
      ...overlay(options.model, options.perReplica[`${replica + 1}`]?.model),
      imageSize: height,
      ...(width !== height && { imageWidth: width }),
      channels,
      classes: classes.length,
    }),
  });
}
