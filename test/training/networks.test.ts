import test from 'ava';
import {
  criteoNetwork,
  denseNetwork,
  type Network,
  networkModel,
  residualNetwork,
  resNet18,
  resNet50,
  smallTransformer,
  transformer,
  weightShapes,
} from '../../training/index.ts';
import { largestDifference } from '../compiler/graphs.ts';
import { prepareStep, smallInputs, smallNetworks } from './small-networks.ts';

const largestOf = (values: ArrayLike<number>) =>
  Array.from(values).reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);

const countOf = ({ parameters }: Network) =>
  Object.values(parameters).reduce(
    (sum, shape) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );

test('the named networks have as many parameters as the papers’', (t) => {
  t.is(countOf(residualNetwork(resNet18)), 11_173_962);
  t.is(countOf(residualNetwork(resNet50)), 25_557_032);
  // 26 tables of 1,000 × 16; layers of 429 → 2560 → 1024 → 256 → 2 with biases.
  const layers = 429 * 2560 + 2560 + 2560 * 1024 + 1024 + 1024 * 256 + 256 + 256 * 2 + 2;
  t.is(countOf(denseNetwork(criteoNetwork)), 26 * 1000 * 16 + layers);
  t.is(countOf(transformer(smallTransformer)), 7_386_624);
});

for (const [name, network] of Object.entries(smallNetworks)) {
  test(`all gradients of the ${name}, with a teacher, are those of tfjs on the CPU`, async (t) => {
    const [tested, reference] = await Promise.all(
      (['onnx-cpu', 'tfjs-cpu'] as const).map((engine) =>
        prepareStep(network, engine, { teachers: [network] }),
      ),
    );
    const outputs = await tested!.step.run(smallInputs(network, 0));
    const expected = await reference!.step.run(smallInputs(network, 0));
    for (const [output, values] of Object.entries(expected)) {
      t.true(largestDifference(outputs[output]!, values) < 1e-5, output);
    }
    const entries = Object.keys(tested!.state.specs);
    const gradients = entries.filter((entry) => entry.startsWith('velocity/'));
    const largest = Math.max(...gradients.map((entry) => largestOf(tested!.state.read(entry))));
    for (const entry of entries) {
      const actual = tested!.state.read(entry);
      // A gradient that is a sum which nearly cancels has the rounding of its terms.
      const scale = entry.startsWith('velocity/') ? 0.1 * largest : 0;
      const difference = largestDifference(actual, reference!.state.read(entry), scale);
      t.true(difference < 1e-5, `${entry}: ${difference}`);
    }
    for (const entry of gradients) t.true(largestOf(tested!.state.read(entry)) > 0, entry);
    await Promise.all([tested!.step.dispose(), reference!.step.dispose()]);
  });

  for (const optimizer of [
    { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    { kind: 'momentum', momentum: 0.9 },
    { kind: 'adagrad', initialSum: 0.1 },
  ] as const) {
    test(`the ${name} learns a batch by heart with ${optimizer.kind}`, async (t) => {
      const { step } = await prepareStep(network, 'onnx-cpu', { optimizer, clipNorm: 5 });
      const losses: number[] = [];
      for (let i = 0; i < 40; i++) {
        losses.push((await step.run(smallInputs(network, 0))).loss![0]!);
      }
      t.true(losses.at(-1)! < 0.5 * losses[0]!, `${losses[0]} to ${losses.at(-1)}`);
      await step.dispose();
    });
  }
}

test('running statistics move towards those of the batch', async (t) => {
  const network = smallNetworks['residual network of basic blocks']!;
  const { state, step } = await prepareStep(network, 'onnx-cpu');
  const before = state.read('student/stem/mean').slice();
  await step.run(smallInputs(network, 0));
  const once = state.read('student/stem/mean').slice();
  for (let i = 0; i < 100; i++) {
    // Parameters must stay where they are, or the batch's moments would move as well.
    await step.run({ ...smallInputs(network, 0), learningRate: Float32Array.of(0) });
  }
  const settled = state.read('student/stem/mean');
  const expected = before.map((value, i) => 0.9 * value + 0.1 * settled[i]!);
  t.true(largestDifference(once, expected) < 0.05);
  await step.dispose();
});

test('what a student knows of its teacher has the running statistics', async (t) => {
  const network = smallNetworks['residual network of basic blocks']!;
  const shapes = weightShapes(networkModel(network, 'examples'));
  for (const name of Object.keys(network.statistics)) t.true(name in shapes, name);
  // A teacher whose moments are others predicts something else.
  const { state, step } = await prepareStep(network, 'onnx-cpu', { teachers: [network] });
  // The student stays as it is.
  const inputs = { ...smallInputs(network, 0), learningRate: Float32Array.of(0) };
  const before = (await step.run(inputs)).distillLoss![0]!;
  state.write(
    'teacher0/stem/mean',
    state.read('teacher0/stem/mean').map(() => 3),
  );
  const after = (await step.run(inputs)).distillLoss![0]!;
  t.true(Math.abs(after - before) > 1e-3, `${before} and ${after}`);
  await step.dispose();
});

test('a network is refused by the field that can’t be', (t) => {
  t.throws(() => residualNetwork({ ...resNet18, stages: [2, 0] }), { message: /stages\[1\] is 0/ });
  t.throws(() => transformer({ ...smallTransformer, heads: 3 }), { message: /multiple of heads/ });
  t.throws(() => denseNetwork({ ...criteoNetwork, numericColumns: 0, categoricalColumns: 0 }), {
    message: /numericColumns \+ categoricalColumns is 0/,
  });
});
