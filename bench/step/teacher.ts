import os from 'node:os';
import { parseArgs } from 'node:util';
import { compileStep, createState } from '../../compiler/index.ts';
import { createTrainingStep, initialiseParameters } from '../../training/index.ts';
import { createRandom } from '../random.ts';
import { median, timeMs } from '../statistics.ts';

const SIZES = {
  'lm-512': { V: 10_000, E: 256, H: 512, B: 32, T: 32 },
  'lm-1024': { V: 24_006, E: 256, H: 1024, B: 32, T: 32 },
} as const;
const WARM_UP_TURNS = 2;
const TURNS = 6;
const TEACHERS_MAX = 3;

type Precision = 'f32' | 'int8';

interface Variant {
  readonly teachers: number;
  readonly precision: Precision;
  readonly times: number[];
  run(): Promise<unknown>;
  dispose(): Promise<void>;
}

/**
 * `npm run bench -- teacher [lm-512|lm-1024]`: what one to three teachers add to a training step, as
 * a share of the step without teachers. All variants take turns.
 */
export async function benchTeacher(args: readonly string[]): Promise<void> {
  const { positionals } = parseArgs({ args: [...args], allowPositionals: true });
  const name = (positionals[0] ?? 'lm-512') as keyof typeof SIZES;
  const sizes = SIZES[name];
  if (sizes === undefined) throw new Error(`Choose one of: ${Object.keys(SIZES).join(', ')}.`);
  const { V, E, H, B, T } = sizes;
  console.log(
    `${name}: 2 layers of ${H} units, vocabulary ${V}, embedding ${E}, batch ${B}, ${T} steps; 1 thread\n` +
      `${new Date().toISOString()} · ${os.cpus()[0]?.model.trim()} · Node ${process.version}`,
  );
  const variants = [await prepare(sizes, 0, 'f32')];
  for (const precision of ['f32', 'int8'] as const) {
    for (let teachers = 1; teachers <= TEACHERS_MAX; teachers++) {
      variants.push(await prepare(sizes, teachers, precision));
    }
  }
  for (let turn = 0; turn < WARM_UP_TURNS + TURNS; turn++) {
    for (const variant of variants) {
      const ms = await timeMs(() => variant.run());
      if (turn >= WARM_UP_TURNS) variant.times.push(ms);
    }
  }
  const alone = median(variants[0]!.times);
  console.log(`without teachers           ${alone.toFixed(0).padStart(6)} ms`);
  for (const { teachers, precision, times } of variants.slice(1)) {
    const ms = median(times);
    const share = (100 * (ms - alone)) / alone / teachers;
    console.log(
      `${teachers} teacher${teachers > 1 ? 's' : ' '} in ${precision.padEnd(4)}         ` +
        `${ms.toFixed(0).padStart(6)} ms   each adds ${share.toFixed(1).padStart(5)} % of a step`,
    );
  }
  await Promise.all(variants.map((variant) => variant.dispose()));
}

async function prepare(
  { V, E, H, B, T }: (typeof SIZES)[keyof typeof SIZES],
  teachers: number,
  precision: Precision,
): Promise<Variant> {
  const model = { vocabularySize: V, embeddingSize: E, hiddenSize: H, layers: 2 };
  const { step, state, inputs } = createTrainingStep({
    model,
    batch: B,
    time: T,
    teachers: new Array(teachers).fill(model),
    optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    clipNorm: 1,
    distillWeight: 1,
  });
  const store = createState(state);
  for (const [name, values] of Object.entries(initialiseParameters(model, 1))) {
    store.write(`student/${name}`, values);
    for (let teacher = 0; teacher < teachers; teacher++) {
      store.write(`teacher${teacher}/${name}`, values);
    }
  }
  const matrices = Object.keys(state).filter(
    (name) => /^teacher\d+\//.test(name) && state[name]!.shape.length === 2,
  );
  const compiled = await compileStep(step, {
    state: store,
    inputs,
    engine: 'onnx-cpu',
    int8Weights: precision === 'int8' ? matrices : [],
  });
  const random = createRandom(1);
  const draw = () => Int32Array.from({ length: B * T }, () => Math.floor(random() * V));
  const learningRate = Float32Array.of(1e-3);
  return {
    teachers,
    precision,
    times: [],
    run: () => compiled.run({ tokens: draw(), targets: draw(), learningRate }),
    async dispose() {
      await compiled.dispose();
      store.dispose();
    },
  };
}
