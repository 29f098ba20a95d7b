import os from 'node:os';
import { parseArgs } from 'node:util';
import * as onnxruntime from 'onnxruntime-node';
import { UserInputError } from '../../errors.ts';
import { findPytorch, startPytorch } from '../peers/pytorch.ts';
import { median, processorMs, timeMs } from '../statistics.ts';
import { type PreparedStep, type StepCase, stepCases } from './cases.ts';
import { prepareProductRate } from './product-rate.ts';

const WARM_UP_TURNS = 2;
const TURNS_DEFAULT = 6;
/** TensorFlow.js alone takes seconds for a step. */
const SLOW_TURNS = 1;

interface Options {
  readonly compile: boolean;
  readonly wasm: boolean;
  readonly tfjsNode: boolean;
  /** How often each step is measured. */
  readonly turns: number;
  readonly processorTime: boolean;
}

interface Contender {
  readonly label: string;
  readonly turns: number;
  /** Milliseconds of one step. */
  run(): Promise<number>;
  dispose(): Promise<void>;
}

/**
 * `npm run bench -- step [CASE…] [--threads 1,2] [--turns 6]`: our compiled training step beside PyTorch's and
 * TensorFlow.js's, and the machine's own product rate. All take turns, so that what else the machine
 * does hits all of them. With `--processor-time` they are compared by that, which is nearer to what a quiet machine
 * would show where this one is busy.
 */
export async function benchStep(args: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      threads: { type: 'string', default: '1,2' },
      compile: { type: 'boolean', default: true },
      wasm: { type: 'boolean', default: true },
      'tfjs-node': { type: 'boolean', default: true },
      turns: { type: 'string', default: `${TURNS_DEFAULT}` },
      'processor-time': { type: 'boolean', default: false },
    },
    allowNegative: true,
  });
  const turns = Number(values.turns);
  if (!Number.isInteger(turns) || turns < 1) {
    throw new UserInputError(`--turns ${values.turns} must be a whole number from 1.`);
  }
  const python = findPytorch();
  if (python === undefined) {
    console.log('!!! PyTorch was NOT measured: no python3 with torch; CODISTILL_PYTHON names one.');
  }
  const { arch, platform } = process;
  const cpu = os.cpus()[0]?.model.trim() ?? 'unknown processor';
  console.log(
    `${new Date().toISOString()} · ${cpu}, ${os.availableParallelism()} cores · ${platform}-${arch} · ` +
      `Node ${process.version} · onnxruntime-node ${onnxruntime.env.versions.node ?? '?'}` +
      `${values['processor-time'] ? ' · processor time' : ''}`,
  );
  for (const stepCase of chooseCases(positionals)) {
    for (const threads of values.threads.split(',').map(Number)) {
      const { compile, wasm, 'processor-time': processorTime } = values;
      const options = { compile, wasm, tfjsNode: values['tfjs-node'], processorTime, turns };
      await compare(stepCase, threads, python, options);
    }
  }
}

function chooseCases(names: readonly string[]): readonly StepCase[] {
  const known = stepCases.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UserInputError(`There is no case '${unknown}'; choose from: ${known.join(', ')}.`);
  }
  return names.length === 0 ? stepCases : stepCases.filter(({ name }) => names.includes(name));
}

async function compare(
  stepCase: StepCase,
  threads: number,
  python: string | undefined,
  options: Options,
): Promise<void> {
  console.log(`\n${stepCase.name}: ${stepCase.title}; ${threads} thread${threads > 1 ? 's' : ''}`);
  const contenders = await prepareContenders(stepCase, threads, python, options);
  const products = await prepareProductRate(threads, options.processorTime);
  const times = contenders.map((): number[] => []);
  try {
    const warmUpTurns = Math.min(WARM_UP_TURNS, options.turns - 1);
    for (let turn = 0; turn < warmUpTurns + options.turns; turn++) {
      for (const [index, contender] of contenders.entries()) {
        if (turn >= warmUpTurns + contender.turns) continue;
        if (contender.turns === SLOW_TURNS && turn < warmUpTurns) continue;
        const ms = await contender.run();
        if (turn >= warmUpTurns) times[index]!.push(ms);
      }
      await products.measure();
    }
    report(stepCase, contenders, times, products.bestGflops());
  } finally {
    await Promise.all([...contenders, products].map((each) => each.dispose()));
  }
}

async function prepareContenders(
  stepCase: StepCase,
  threads: number,
  python: string | undefined,
  options: Options,
): Promise<Contender[]> {
  const measure = options.processorTime ? processorMs : timeMs;
  const timed = (label: string, step: PreparedStep, turns: number = options.turns): Contender => ({
    label,
    turns,
    run: () => measure(step.draw()),
    dispose: () => step.dispose(),
  });
  const contenders = [timed('ours', await stepCase.prepareOurs('onnx-cpu', threads))];
  for (const [label, prepare] of Object.entries(stepCase.others ?? {})) {
    contenders.push(timed(label, await prepare(threads)));
  }
  if (python !== undefined) {
    const { model, sizes } = stepCase;
    for (const mode of options.compile ? (['eager', 'compile'] as const) : (['eager'] as const)) {
      const peer = await startPytorch(python, {
        model,
        sizes,
        threads,
        mode,
        processorTime: options.processorTime,
      });
      contenders.push({ label: `PyTorch ${peer.version} ${mode}`, turns: options.turns, ...peer });
    }
  }
  // It has no threads of its own in Node.
  if (options.wasm && threads === 1) {
    const wasm = await stepCase.prepareOurs('tfjs-wasm', threads).catch((error: Error) => error);
    if (wasm instanceof Error) console.log(`!!! tfjs-wasm was NOT measured: ${wasm.message}`);
    else contenders.push(timed('TensorFlow.js on WASM', wasm, SLOW_TURNS));
  }
  if (options.tfjsNode) {
    const tfjsNode = await prepareTfjsNode(stepCase, threads);
    if (typeof tfjsNode === 'string') console.log(`!!! tfjs-node was NOT measured: ${tfjsNode}`);
    else contenders.push(timed('TensorFlow.js on TensorFlow', tfjsNode));
  }
  return contenders;
}

/** Or why it can't be. TensorFlow counts its threads when a process first computes with it. */
async function prepareTfjsNode(
  stepCase: StepCase,
  threads: number,
): Promise<PreparedStep | string> {
  process.env.TF_NUM_INTRAOP_THREADS ??= `${threads}`;
  if (process.env.TF_NUM_INTRAOP_THREADS !== `${threads}`) {
    return `it has ${process.env.TF_NUM_INTRAOP_THREADS} threads in this process; run it with --threads ${threads} alone.`;
  }
  return stepCase.prepareOurs('tfjs-node', threads).catch((error: Error) => error.message);
}

function report(
  { flop, items, unit }: StepCase,
  contenders: readonly Contender[],
  times: readonly (readonly number[])[],
  productGflops: number,
): void {
  const ours = median(times[0]!);
  for (const [index, { label }] of contenders.entries()) {
    const ms = median(times[index]!);
    const gflops = flop / ms / 1e6;
    const ratio = index === 0 ? '' : `   ours is ${(ms / ours).toFixed(2)} × as fast`;
    console.log(
      `${label.padEnd(38)} ${ms.toFixed(0).padStart(6)} ms ` +
        `${((1000 * items) / ms).toFixed(0).padStart(6)} ${unit}/s ` +
        `${gflops.toFixed(1).padStart(6)} GFLOP/s ` +
        `${((100 * gflops) / productGflops).toFixed(0).padStart(3)} % of the product rate${ratio}`,
    );
  }
  console.log(`the machine’s product rate: ${productGflops.toFixed(1)} GFLOP/s`);
}
