// Measures the engines of a GPU, which no machine of this project has had yet: see bench/gpu/README.md.
//
//   node bench/gpu/run.ts [CASE…] [--steps 200] [--turns 20] [--out FILE.json]
import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { parseArgs } from 'node:util';
import { type EngineName, listEngines } from '../../compiler/index.ts';
import { findPytorch, startPytorch } from '../peers/pytorch.ts';
import { median, timeMs } from '../statistics.ts';
import { type StepCase, stepCases } from '../step/cases.ts';

const GPU_ENGINES: readonly EngineName[] = ['onnx-cuda', 'onnx-webgpu', 'tfjs-node-gpu'];
/** Of a loss, relative: what rounding in another order comes to over some hundred steps. */
const DIFFERENCE_MAX = 1e-3;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    steps: { type: 'string', default: '200' },
    turns: { type: 'string', default: '20' },
    out: { type: 'string' },
  },
});
const steps = Number(values.steps);
const turns = Number(values.turns);

const engines = await listEngines();
for (const { name, works, reason } of engines) {
  console.log(`${works ? 'works' : '  -  '}  ${name}${works ? '' : `: ${reason}`}`);
}
const tested = GPU_ENGINES.filter((name) =>
  engines.some((each) => each.name === name && each.works),
);
if (tested.length === 0) {
  console.error('No engine of a GPU works here, so there is nothing to measure.');
  process.exit(1);
}

const measured: Record<string, unknown>[] = [];
const unknown = positionals.find((name) => stepCases.every((each) => each.name !== name));
if (unknown !== undefined) throw new Error(`There is no case '${unknown}'.`);
const chosen = stepCases.filter(
  ({ name }) => positionals.length === 0 || positionals.includes(name),
);
for (const stepCase of chosen) {
  console.log(`\n${stepCase.name}: ${stepCase.title}`);
  const expected = await train(stepCase, 'onnx-cpu');
  for (const engine of tested) {
    // One engine's failure is a result too, and must not hide the others'.
    const result = await measure(stepCase, engine, expected.losses).catch((error: unknown) => ({
      error: error instanceof Error ? error.message : String(error),
    }));
    console.log(`  ${engine.padEnd(14)}`, JSON.stringify(result));
    measured.push({ case: stepCase.name, engine, ...result });
  }
  for (const result of await measurePytorch(stepCase)) {
    console.log(`  ${'PyTorch CUDA'.padEnd(14)}`, JSON.stringify(result));
    measured.push({ case: stepCase.name, engine: 'pytorch-cuda', ...result });
  }
  const cpu = { case: stepCase.name, engine: 'onnx-cpu', msPerStep: expected.msPerStep };
  console.log(`  ${'onnx-cpu'.padEnd(14)}`, JSON.stringify({ msPerStep: expected.msPerStep }));
  measured.push(cpu);
}
const report = {
  date: new Date().toISOString(),
  processor: os.cpus()[0]?.model.trim(),
  node: process.version,
  steps,
  turns,
  engines,
  measured,
};
if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(report, null, 2)}\n`);
process.exitCode = measured.some((each) => 'error' in each || each.same === false) ? 1 : 0;

async function measure(stepCase: StepCase, engine: EngineName, expected: readonly number[]) {
  const { losses, msPerStep } = await train(stepCase, engine);
  const differences = losses.map(
    (loss, i) => Math.abs(loss - expected[i]!) / Math.abs(expected[i]!),
  );
  const largest = Math.max(...differences);
  return {
    same: largest <= DIFFERENCE_MAX,
    largestDifference: Number(largest.toPrecision(3)),
    lastLoss: losses.at(-1)!,
    msPerStep,
    gflopPerSecond: Math.round(stepCase.flop / msPerStep / 1e6),
    [`${stepCase.unit}PerSecond`]: Math.round((stepCase.items * 1000) / msPerStep),
  };
}

/** PyTorch on the same card, where it is installed. */
async function measurePytorch({ model, sizes }: StepCase) {
  const python = findPytorch();
  if (python === undefined) return [];
  process.env.CODISTILL_TORCH_DEVICE = 'cuda';
  try {
    const step = await startPytorch(python, { model, sizes, threads: 1, mode: 'eager' });
    const times: number[] = [];
    for (let i = 0; i < 3; i++) await step.run();
    for (let i = 0; i < turns; i++) times.push(await step.run());
    await step.dispose();
    return [{ version: step.version, msPerStep: Number(median(times).toPrecision(4)) }];
  } catch (error) {
    return [{ error: (error as Error).message }];
  }
}

/** The losses of the first steps, and the median time of those that follow. */
async function train(stepCase: StepCase, engine: EngineName) {
  const step = await stepCase.prepareOurs(engine, os.availableParallelism());
  try {
    const losses: number[] = [];
    for (let i = 0; i < steps; i++) {
      const { loss } = (await step.draw()()) as Record<string, Float32Array>;
      losses.push(loss![0]!);
    }
    const times: number[] = [];
    for (let i = 0; i < turns; i++) times.push(await timeMs(step.draw()));
    return { losses, msPerStep: Number(median(times).toPrecision(4)) };
  } finally {
    await step.dispose();
  }
}
