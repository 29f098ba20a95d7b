import {
  type CompiledStep,
  compileStep,
  createState,
  type EngineName,
  type StateStore,
  type TensorData,
} from '../../compiler/index.ts';
import { sizeOf } from '../../compiler/tensor-spec.ts';
import {
  createTrainingStep,
  defaultObjective,
  denseNetwork,
  initialTrainingState,
  type Network,
  networkModel,
  residualNetwork,
  type TrainingStepConfig,
  transformer,
} from '../../training/index.ts';
import { someNumbers } from '../compiler/graphs.ts';

/** One of each kind, small enough for TensorFlow.js's own CPU backend. */
export const smallNetworks: Readonly<Record<string, Network>> = {
  'dense network': denseNetwork({
    numericColumns: 3,
    categoricalColumns: 4,
    buckets: 5,
    embeddingSize: 2,
    hiddenSizes: [24, 16, 8],
    classes: 2,
  }),
  'residual network of basic blocks': residualNetwork({
    imageSize: 8,
    channels: 3,
    classes: 4,
    block: 'basic',
    stages: [1, 1],
    width: 4,
    stem: 'small',
  }),
  'residual network of bottlenecks': residualNetwork({
    imageSize: 12,
    imageWidth: 8,
    channels: 3,
    classes: 4,
    block: 'bottleneck',
    stages: [1, 1],
    width: 3,
    stem: 'large',
  }),
  'residual network of blocks of channels': residualNetwork({
    imageSize: 12,
    channels: 3,
    classes: 4,
    block: 'basic',
    stages: [2, 1],
    width: 16,
    stem: 'small',
  }),
  transformer: transformer({ vocabularySize: 11, time: 5, width: 8, heads: 2, layers: 2 }),
};

export const smallBatch = 3;

/** Gradients as such: the velocity after one step without momentum. */
export const plainGradients = {
  optimizer: { kind: 'momentum', momentum: 0 },
  weightDecay: 0,
  objective: defaultObjective,
} as const;

export interface PreparedStep {
  readonly step: CompiledStep;
  readonly state: StateStore;
}

export interface SmallStepOptions extends Partial<Omit<TrainingStepConfig, 'model' | 'teachers'>> {
  readonly teachers?: readonly Network[];
}

export async function prepareStep(
  network: Network,
  engine: EngineName,
  { teachers = [], ...options }: SmallStepOptions = {},
): Promise<PreparedStep> {
  const config = {
    model: networkModel(network, 'examples'),
    batch: smallBatch,
    teachers: teachers.map((teacher) => networkModel(teacher, 'examples')),
    ...plainGradients,
    ...options,
  };
  const made = createTrainingStep(config);
  const state = createState(made.state);
  fillState(state, config);
  return { step: await compileStep(made.step, { inputs: made.inputs, state, engine }), state };
}

/** Weights from seeds, all moved a little: the zeros that some begin with hide other gradients. */
function fillState(state: StateStore, config: TrainingStepConfig): void {
  for (const [name, values] of Object.entries(initialTrainingState(config, 1))) {
    state.read(name).set(name.startsWith('student/') ? moved(values) : values);
  }
  for (const [index, teacher] of config.teachers.entries()) {
    for (const [name, values] of Object.entries(teacher.initialise(index + 2))) {
      state.read(`teacher${index}/${name}`).set(moved(values));
    }
  }
}

function moved(values: Float32Array): Float32Array {
  return values.map((value, i) => value + 0.03 * ((i % 5) + 1));
}

/** Inputs of a step, different ones for each number, the same in every run. */
export function smallInputs(network: Network, step: number): Record<string, TensorData> {
  const inputs: Record<string, TensorData> = {};
  for (const [name, { shape, dtype }] of Object.entries(network.inputs(smallBatch))) {
    const numbers = someNumbers(sizeOf(shape), step + 1);
    const limit = name === 'tokens' ? network.classes : 5;
    inputs[name] =
      dtype === 'int32'
        ? Int32Array.from(numbers, (x) => Math.floor(Math.abs(x) * limit))
        : numbers.map((x) => 2 * x);
  }
  const count = sizeOf(network.targetShape(smallBatch));
  const targets = Int32Array.from({ length: count }, (_, i) => (3 * i + step) % network.classes);
  return { ...inputs, targets, learningRate: Float32Array.of(0.05) };
}
