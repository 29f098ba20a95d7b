import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { compileStep, type EngineName, type StateStore } from '../../compiler/index.ts';
import { largestDifference } from './graphs.ts';
import { smallInputs, smallState, smallStep } from './small-model.ts';
import { testedEngines } from './working-engines.ts';

/** Makes the first moment after the first step the gradient itself, as nothing is clipped. */
const plainGradients = { beta1: 0, clipNorm: 1e9 };

const parameterNames = (state: StateStore) =>
  Object.keys(state.specs).filter((name) => name.startsWith('student/'));

const gradientName = (parameter: string) => parameter.replace('student/', 'm/');

async function compile(engine: EngineName, options = {}) {
  const { step, inputs } = smallStep(options);
  const state = smallState();
  return { state, step: await compileStep(step, { state, inputs, engine }) };
}

for (const engine of testedEngines) {
  test(`${engine}: all gradients of the language model are those of tfjs on the CPU`, async (t) => {
    const [tested, reference] = await Promise.all([
      compile(engine, plainGradients),
      compile('tfjs-cpu', plainGradients),
    ]);
    const outputs = await tested.step.run(smallInputs(0));
    const expected = await reference.step.run(smallInputs(0));
    t.deepEqual(Object.keys(outputs), ['loss', 'distillLoss', 'gradientNorm']);
    for (const name of Object.keys(outputs)) {
      t.true(largestDifference(outputs[name]!, expected[name]!) < 1e-5, name);
    }
    await tested.state.toHost();
    for (const name of parameterNames(tested.state).map(gradientName)) {
      const actual = tested.state.read(name);
      t.true(
        actual.some((gradient) => gradient !== 0),
        `${name} has a gradient`,
      );
      t.true(largestDifference(actual, reference.state.read(name)) < 1e-5, name);
    }
    await Promise.all([tested.step.dispose(), reference.step.dispose()]);
  });

  test(`${engine}: fifty training steps have the loss curve of tfjs on the CPU`, async (t) => {
    const [tested, reference] = await Promise.all([compile(engine), compile('tfjs-cpu')]);
    const losses: number[] = [];
    for (let i = 0; i < 50; i++) {
      const [actual, expected] = await Promise.all([
        tested.step.run(smallInputs(i % 4)),
        reference.step.run(smallInputs(i % 4)),
      ]);
      losses.push(expected.loss![0]!);
      t.true(largestDifference(actual.loss!, expected.loss!) < 1e-4, `step ${i}`);
      t.true(largestDifference(actual.distillLoss!, expected.distillLoss!) < 1e-4, `step ${i}`);
    }
    // The curve is one of learning, not a flat line.
    t.true(losses.at(-1)! < losses[0]! - 0.1);
    await Promise.all([tested.step.dispose(), reference.step.dispose()]);
  });
}

test('gradients are what finite differences of the loss say, along each parameter’s own', async (t) => {
  const { state, step } = await compile('onnx-cpu', plainGradients);
  const start = new Map(
    Object.keys(state.specs).map((name) => [name, state.read(name).slice()] as const),
  );
  /** The whole objective at the start, with one parameter moved. */
  const objectiveAt = async (name: string, direction: Float32Array, distance: number) => {
    for (const [entry, data] of start) state.read(entry).set(data);
    const parameter = state.read(name);
    direction.forEach((slope, i) => {
      parameter[i]! += distance * slope;
    });
    const { loss, distillLoss } = await step.run(smallInputs(0));
    return loss![0]! + distillLoss![0]!;
  };
  for (const name of parameterNames(state)) {
    await objectiveAt(name, new Float32Array(0), 0);
    const gradient = Float32Array.from(state.read(gradientName(name)));
    const norm = Math.hypot(...gradient);
    const direction = gradient.map((slope) => slope / norm);
    // Float32 losses have steps of 5e-7: the difference must be much larger, and the curve straight.
    const distance = Math.min(0.05, 0.01 / norm);
    const ahead = await objectiveAt(name, direction, distance);
    const behind = await objectiveAt(name, direction, -distance);
    const slope = (ahead - behind) / (2 * distance);
    t.true(Math.abs(slope - norm) < 0.01 * norm + 2e-5, `${name}: ${slope}, expected ${norm}`);
  }
  await step.dispose();
});

test('a step gives the same bits again and again, and in another process', async (t) => {
  const script = fileURLToPath(new URL('fixtures/print-weights.ts', import.meta.url));
  const digests = await Promise.all(
    [1, 2].map(() => promisify(execFile)(process.execPath, [script], { timeout: 60_000 })),
  );
  t.regex(digests[0]!.stdout, /^[0-9a-f]{64}\n$/);
  t.is(digests[0]!.stdout, digests[1]!.stdout);

  const [first, second] = await Promise.all([compile('onnx-cpu'), compile('onnx-cpu')]);
  for (let i = 0; i < 5; i++) {
    t.deepEqual(await first.step.run(smallInputs(i)), await second.step.run(smallInputs(i)));
  }
  for (const name of Object.keys(first.state.specs)) {
    t.deepEqual(first.state.read(name), second.state.read(name), name);
  }
  await Promise.all([first.step.dispose(), second.step.dispose()]);
});
