import { compileStep, createState, type EngineName } from '../../compiler/index.ts';
import { createTrainingStep, initialiseParameters } from '../../training/index.ts';
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
  run(): Promise<unknown>;
  dispose(): Promise<void>;
}

/** Every case of `npm run bench -- step`, by its name. */
export const stepCases: readonly StepCase[] = [
  languageModelCase('lm-512', { V: 10_000, E: 256, H: 512, B: 32, T: 32 }),
  languageModelCase('lm-1024', { V: 24_006, E: 256, H: 1024, B: 32, T: 32 }),
];

/** B lanes of T word pieces, V word pieces in the vocabulary, embeddings of E and layers of H units. */
interface LanguageModelSizes {
  readonly V: number;
  readonly E: number;
  readonly H: number;
  readonly B: number;
  readonly T: number;
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
    prepareOurs: (engine, threads) => prepareLanguageModel(sizes, engine, threads),
    others: {
      'the prototype’s way (plain LSTM, SGD)': async (threads) => {
        const prototype = await createPrototypeStep(sizes, threads, createRandom(SEED));
        const draw = windows(sizes);
        return {
          run: () => {
            const { tokens, targets } = draw();
            return prototype.run(tokens, targets);
          },
          dispose: () => prototype.dispose(),
        };
      },
    },
  };
}

async function prepareLanguageModel(
  sizes: LanguageModelSizes,
  engine: EngineName,
  threads: number,
): Promise<PreparedStep> {
  const { V, E, H, B, T } = sizes;
  const model = { vocabularySize: V, embeddingSize: E, hiddenSize: H, layers: 2 };
  const { step, state, inputs } = createTrainingStep({
    model,
    batch: B,
    time: T,
    teachers: [],
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    clipNorm: 1,
    distillWeight: 1,
  });
  const store = createState(state);
  for (const [name, values] of Object.entries(initialiseParameters(model, SEED))) {
    store.read(`student/${name}`).set(values);
  }
  const compiled = await compileStep(step, { state: store, inputs, engine, threads });
  const draw = windows(sizes);
  const learningRate = Float32Array.of(1e-3);
  return {
    run: () => compiled.run({ ...draw(), learningRate }),
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
