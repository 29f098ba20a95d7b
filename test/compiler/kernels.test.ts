import test from 'ava';
import { compileStep, createState, type TensorData } from '../../compiler/index.ts';
import { traceKernels } from '../../compiler/kernels/registry.ts';
import { sizeOf } from '../../compiler/tensor-spec.ts';
import { largestDifference, someNumbers } from './graphs.ts';
import { kernelCases as cases } from './kernel-cases/all.ts';
import { documentedTable, kernelTable, testedTypes } from './kernel-table.ts';

const TOLERANCE = 2e-6;

for (const each of cases) {
  test(`${each.title} is compiled to what tfjs computes`, async (t) => {
    const specs = Object.fromEntries(
      each.shapes.map((shape, i) => [`x${i}`, { shape, dtype: 'float32' as const }]),
    );
    const inputs = Object.fromEntries(
      each.shapes.map((shape, i) => {
        const numbers = someNumbers(sizeOf(shape), i + 1);
        return [`x${i}`, each.range ? numbers.map(each.range) : numbers];
      }),
    );
    const run = async (engine: 'onnx-cpu' | 'tfjs-cpu') => {
      const state = createState({});
      const step = await compileStep(
        (_, tensors) => {
          const results = [each.build(...Object.values(tensors))].flat();
          return { state: {}, outputs: Object.fromEntries(results.map((x, i) => [`y${i}`, x])) };
        },
        { state, inputs: specs, engine },
      );
      const outputs = await step.run(inputs);
      await step.dispose();
      return outputs;
    };
    const expected = await run('tfjs-cpu');
    const actual = await run('onnx-cpu');
    t.true(Object.keys(expected).length > 0);
    for (const [name, data] of Object.entries(expected)) {
      t.is(actual[name]!.constructor, data.constructor, name);
      t.true(largestDifference(actual[name]!, data) <= TOLERANCE, describe(name, actual, expected));
    }
  });
}

function describe(
  name: string,
  actual: Record<string, TensorData>,
  expected: Record<string, TensorData>,
): string {
  const show = (data: TensorData) => `[${data.slice(0, 24).join(', ')}]`;
  return `${name} is ${show(actual[name]!)}, expected ${show(expected[name]!)}`;
}

test('every kernel that can be compiled is called by one of these cases', (t) => {
  const tested = testedTypes();
  t.deepEqual(
    Object.keys(traceKernels).filter((name) => !tested.has(name)),
    [],
  );
});

test('the table in the documentation is the registry’s', async (t) => {
  t.is(await documentedTable(), kernelTable(), 'run node test/compiler/kernel-table.ts');
});
