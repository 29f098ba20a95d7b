import {
  compileStep,
  createState,
  type EngineName,
  type TensorSpec,
} from '../../compiler/index.ts';
import { sizeOf } from '../../compiler/tensor-spec.ts';
import {
  createTrainingStep,
  criteoNetwork,
  defaultObjective,
  denseNetwork,
  initialTrainingState,
  lstmModel,
  type Network,
  networkModel,
  type OptimizerConfig,
  type ResidualNetworkConfig,
  residualNetwork,
  resNet18,
  resNet50,
  smallTransformer,
  teacherMatrices,
  transformer,
} from '../../training/index.ts';
import { createPrototypeStep } from '../peers/prototype-step.ts';
import { createRandom } from '../random.ts';

const SEED = 1;

/** One training step that is measured, ours and the peers' alike. */
export interface StepCase {
  readonly name: string;
  readonly title: string;
  /** Floating-point operations of the products of one step, forward and backward. */
  readonly flop: number;
  /** What one step processes, and how that is called. */
  readonly items: number;
  readonly unit: 'tokens' | 'examples';
  /** For the peers, which build the same model. */
  readonly model: string;
  readonly sizes: Readonly<Record<string, number>>;
  prepareOurs(engine: EngineName, threads: number): Promise<PreparedStep>;
  /** Further ways that only this case is compared with. */
  readonly others?: Readonly<Record<string, (threads: number) => Promise<PreparedStep>>>;
}

export interface PreparedStep {
  /** Draws a batch, which is no part of the measured time, as with the peers. @returns what runs a step on it. */
  draw(): () => Promise<unknown>;
  dispose(): Promise<void>;
}

/** B lanes of T word pieces, V word pieces in the vocabulary, embeddings of E and layers of H units. */
export interface LanguageModelSizes {
  readonly V: number;
  readonly E: number;
  readonly H: number;
  readonly B: number;
  readonly T: number;
}

export const languageModelSizes = {
  'lm-512': { V: 10_000, E: 256, H: 512, B: 32, T: 32 },
  'lm-1024': { V: 24_006, E: 256, H: 1024, B: 32, T: 32 },
} as const satisfies Readonly<Record<string, LanguageModelSizes>>;

/** Every case of `npm run bench -- step`, by its name. */
export const stepCases: readonly StepCase[] = [
  languageModelCase('lm-512', languageModelSizes['lm-512']),
  languageModelCase('lm-1024', languageModelSizes['lm-1024']),
  criteoCase(512),
  residualCase('resnet-18', resNet18, 32),
  residualCase('resnet-50', resNet50, 16),
  transformerCase(8),
];

function criteoCase(batch: number): StepCase {
  const { numericColumns, categoricalColumns, embeddingSize, hiddenSizes, classes } = criteoNetwork;
  const widths = [numericColumns + categoricalColumns * embeddingSize, ...hiddenSizes, classes];
  return networkCase({
    name: 'dnn',
    title: `the paper’s network for Criteo, ${widths.join('-')}, batch ${batch}; Adagrad`,
    network: denseNetwork(criteoNetwork),
    batch,
    optimizer: { kind: 'adagrad', initialSum: 0.1 },
    flop: 6 * batch * widths.slice(1).reduce((sum, width, i) => sum + width * widths[i]!, 0),
    items: batch,
    unit: 'examples',
    sizes: { ...numbersOf(criteoNetwork), B: batch },
  });
}

function residualCase(
  name: 'resnet-18' | 'resnet-50',
  config: ResidualNetworkConfig,
  batch: number,
): StepCase {
  const { imageSize, classes, stem } = config;
  const network = residualNetwork(config);
  return networkCase({
    name,
    title:
      `${name === 'resnet-18' ? 'ResNet-18' : 'ResNet-50'} on ${imageSize}×${imageSize} images, ` +
      `${classes} classes, batch ${batch}; momentum`,
    network,
    batch,
    optimizer: { kind: 'momentum', momentum: 0.9 },
    flop: 6 * batch * residualProducts(config),
    items: batch,
    unit: 'examples',
    sizes: { S: imageSize, B: batch, C: classes, large: Number(stem === 'large') },
  });
}

/** Multiplications of one image's forward pass, in convolutions and the output layer. */
function residualProducts(config: ResidualNetworkConfig): number {
  const { block, stages, width, stem, imageSize, channels, classes } = config;
  const factor = block === 'basic' ? 1 : 4;
  let side = stem === 'large' ? imageSize / 4 : imageSize;
  let products =
    stem === 'large'
      ? (imageSize / 2) ** 2 * 49 * channels * width
      : side ** 2 * 9 * channels * width;
  let inputs = width;
  for (const [stage, blocks] of stages.entries()) {
    const inside = width * 2 ** stage;
    const outputs = inside * factor;
    for (let index = 0; index < blocks; index++) {
      const before = side;
      if (stage > 0 && index === 0) side /= 2;
      const area = side ** 2;
      products +=
        block === 'basic'
          ? area * 9 * (inputs * inside + inside * outputs)
          : before ** 2 * inputs * inside + area * (9 * inside * inside + inside * outputs);
      if (before !== side || inputs !== outputs) products += area * inputs * outputs;
      inputs = outputs;
    }
  }
  return products + inputs * classes;
}

function transformerCase(batch: number): StepCase {
  const { vocabularySize: V, time: T, width: D, heads, layers } = smallTransformer;
  const rows = batch * T;
  return networkCase({
    name: 'transformer',
    title: `transformer of ${layers} layers, width ${D}, vocabulary ${V}, batch ${batch}, ${T} pieces; Adam`,
    network: transformer(smallTransformer),
    batch,
    optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    flop: 6 * (rows * (layers * 12 * D * D + D * V) + layers * 2 * rows * T * D),
    items: rows,
    unit: 'tokens',
    sizes: { V, D, B: batch, T, heads, layers },
  });
}

function networkCase({
  network,
  batch,
  optimizer,
  ...rest
}: Omit<StepCase, 'prepareOurs' | 'model'> & {
  readonly network: Network;
  readonly batch: number;
  readonly optimizer: OptimizerConfig;
}): StepCase {
  return {
    ...rest,
    model: rest.name,
    prepareOurs: (engine, threads) =>
      prepareNetwork({ network, batch, optimizer, engine, threads }),
  };
}

async function prepareNetwork(plan: {
  readonly network: Network;
  readonly batch: number;
  readonly optimizer: OptimizerConfig;
  readonly engine: EngineName;
  readonly threads: number;
}): Promise<PreparedStep> {
  const { network, batch, optimizer, engine, threads } = plan;
  const config = {
    model: networkModel(network, 'examples'),
    batch,
    teachers: [],
    optimizer,
    weightDecay: 0,
    objective: defaultObjective,
  };
  const { step, state, inputs } = createTrainingStep(config);
  const store = createState(state);
  for (const [name, values] of Object.entries(initialTrainingState(config, SEED))) {
    store.write(name, values);
  }
  const compiled = await compileStep(step, { state: store, inputs, engine, threads });
  const random = createRandom(SEED);
  const draw = (spec: TensorSpec, below: number) =>
    spec.dtype === 'float32'
      ? Float32Array.from({ length: sizeOf(spec.shape) }, () => random() * 2 - 1)
      : Int32Array.from({ length: sizeOf(spec.shape) }, () => Math.floor(random() * below));
  const { targets, learningRate: _, ...examples } = inputs;
  return {
    draw() {
      const batch = {
        ...Object.fromEntries(
          Object.entries(examples).map(([name, spec]) => [name, draw(spec, INDICES_BELOW)]),
        ),
        targets: draw(targets!, network.classes),
        learningRate: Float32Array.of(1e-3),
      };
      return () => compiled.run(batch);
    },
    async dispose() {
      await compiled.dispose();
      store.dispose();
    },
  };
}

/** Whatever an index counts in these networks (buckets, word pieces), it may be so large. */
const INDICES_BELOW = 1000;

/** The fields that are plain numbers. */
function numbersOf(config: object): Record<string, number> {
  return Object.fromEntries(
    Object.entries(config).filter(([, value]) => typeof value === 'number'),
  ) as Record<string, number>;
}

function languageModelCase(name: string, sizes: LanguageModelSizes): StepCase {
  const { V, E, H, B, T } = sizes;
  return {
    name,
    title:
      `LSTM language model, 2 layers of ${H} units with layer norm, vocabulary ${V}, ` +
      `embedding ${E}, batch ${B}, ${T} steps; clipping and Adam`,
    flop: 6 * B * T * (E * 4 * H + H * 4 * H + 2 * H * 4 * H + H * V),
    items: B * T,
    unit: 'tokens',
    model: 'lm',
    sizes: { ...sizes },
    prepareOurs: (engine, threads) => prepareLanguageModel({ sizes, engine, threads }),
    others: {
      'the prototype’s way (plain LSTM, SGD)': async (threads) => {
        const prototype = await createPrototypeStep(sizes, threads, createRandom(SEED));
        const draw = windows(sizes);
        return {
          draw() {
            const { tokens, targets } = draw();
            return () => prototype.run(tokens, targets);
          },
          dispose: () => prototype.dispose(),
        };
      },
    },
  };
}

/** Our step of the language model, with so many teachers of its own kind. */
export async function prepareLanguageModel({
  sizes,
  engine,
  threads,
  teachers = 0,
  int8Teachers = false,
}: {
  readonly sizes: LanguageModelSizes;
  readonly engine: EngineName;
  readonly threads: number;
  readonly teachers?: number;
  readonly int8Teachers?: boolean;
}): Promise<PreparedStep> {
  const { V, E, H, B, T } = sizes;
  const model = lstmModel({
    vocabularySize: V,
    time: T,
    embeddingSize: E,
    hiddenSize: H,
    layers: 2,
  });
  const { step, state, inputs } = createTrainingStep({
    model,
    batch: B,
    teachers: new Array(teachers).fill(model),
    optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    weightDecay: 0,
    clipNorm: 1,
    objective: defaultObjective,
  });
  const store = createState(state);
  for (const [name, values] of Object.entries(model.initialise(SEED))) {
    store.write(`student/${name}`, values);
    for (let teacher = 0; teacher < teachers; teacher++) {
      store.write(`teacher${teacher}/${name}`, values);
    }
  }
  const int8Weights = int8Teachers ? teacherMatrices(state) : [];
  const compiled = await compileStep(step, { state: store, inputs, engine, threads, int8Weights });
  const draw = windows(sizes);
  const learningRate = Float32Array.of(1e-3);
  return {
    draw() {
      const batch = { ...draw(), learningRate };
      return () => compiled.run(batch);
    },
    async dispose() {
      await compiled.dispose();
      store.dispose();
    },
  };
}

function windows({ V, B, T }: LanguageModelSizes) {
  const random = createRandom(SEED);
  const draw = () => Int32Array.from({ length: B * T }, () => Math.floor(random() * V));
  return () => ({ tokens: draw(), targets: draw() });
}
