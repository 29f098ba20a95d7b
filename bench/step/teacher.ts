import os from 'node:os';
import { parseArgs } from 'node:util';
import { UserInputError } from '../../errors.ts';
import { median, processorMs, timeMs } from '../statistics.ts';
import {
  type LanguageModelSizes,
  languageModelSizes,
  type PreparedStep,
  prepareLanguageModel,
} from './cases.ts';
import { lossSetting, teacherLosses } from './teacher-loss.ts';

/** onnxruntime keeps its memory, but touches the last of it for the first time only after so many runs. */
const WARM_UP_TURNS = 20;
const TURNS = 6;
const TEACHERS_MAX = 3;

export type Precision = 'f32' | 'int8';

interface Variant extends PreparedStep {
  readonly teachers: number;
  readonly precision: Precision;
  readonly times: number[];
}

/**
 * `npm run bench -- teacher [lm-512|lm-1024]`: what one to three teachers add to a training step, as
 * a share of the step without teachers (all variants take turns; `--processor-time`: see `benchStep`), and what becomes
 * of the loss. `--no-cost` and `--no-loss` leave one of them out.
 */
export async function benchTeacher(args: readonly string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      'processor-time': { type: 'boolean', default: false },
      cost: { type: 'boolean', default: true },
      loss: { type: 'boolean', default: true },
    },
    allowNegative: true,
  });
  if (values.cost) await benchCost(positionals, values['processor-time']);
  if (values.loss) await benchLoss();
}

async function benchLoss(): Promise<void> {
  console.log(`\n${lossSetting}`);
  const losses = await teacherLosses(['f32', 'int8']);
  const exact = losses.get('f32')!;
  for (const [precision, loss] of losses) {
    const change = (100 * (loss - exact)) / exact;
    console.log(
      `teachers in ${precision.padEnd(4)} ${loss.toFixed(4).padStart(9)}   ` +
        `${change >= 0 ? '+' : '−'}${Math.abs(change).toFixed(3)} %`,
    );
  }
}

async function benchCost(positionals: readonly string[], processorTime: boolean): Promise<void> {
  const measure = processorTime ? processorMs : timeMs;
  const name = (positionals[0] ?? 'lm-512') as keyof typeof languageModelSizes;
  const sizes = languageModelSizes[name];
  if (sizes === undefined)
    throw new UserInputError(`Choose one of: ${Object.keys(languageModelSizes).join(', ')}.`);
  const { V, E, H, B, T } = sizes;
  console.log(
    `${name}: 2 layers of ${H} units, vocabulary ${V}, embedding ${E}, batch ${B}, ${T} steps; 1 thread\n` +
      `${new Date().toISOString()} · ${os.cpus()[0]?.model.trim()} · Node ${process.version}` +
      `${processorTime ? ' · processor time' : ''}`,
  );
  const variants = [await prepare(sizes, 0, 'f32')];
  for (const precision of ['f32', 'int8'] as const) {
    for (let teachers = 1; teachers <= TEACHERS_MAX; teachers++) {
      variants.push(await prepare(sizes, teachers, precision));
    }
  }
  for (let turn = 0; turn < WARM_UP_TURNS + TURNS; turn++) {
    for (const variant of variants) {
      const ms = await measure(variant.draw());
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
  sizes: LanguageModelSizes,
  teachers: number,
  precision: Precision,
): Promise<Variant> {
  const step = await prepareLanguageModel({
    sizes,
    engine: 'onnx-cpu',
    threads: 1,
    teachers,
    int8Teachers: precision === 'int8',
  });
  return { teachers, precision, times: [], ...step };
}
