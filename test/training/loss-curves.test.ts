import test from 'ava';
import {
  type CompiledStep,
  compileStep,
  type EngineName,
  listEngines,
} from '../../compiler/index.ts';
import { smallInputs as languageInputs, smallState, smallStep } from '../compiler/small-model.ts';
import { prepareStep, smallInputs, smallNetworks } from './small-networks.ts';

const STEPS = 200;
/** Of any loss, relative to the first: rounding differs from engine to engine and adds up. */
const TOLERANCE = 1e-3;

interface Trainee {
  prepare(engine: EngineName): Promise<CompiledStep>;
  inputs(step: number): Parameters<CompiledStep['run']>[0];
}

/** With a smaller epsilon rounding alone makes whole steps where a gradient is 0, as for the biases of keys. */
const optimizer = { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-6 } as const;

const trainees: Readonly<Record<string, Trainee>> = {
  'LSTM language model': {
    async prepare(engine) {
      const { step, inputs } = smallStep();
      return compileStep(step, { state: smallState(), inputs, engine });
    },
    inputs: (step) => languageInputs(step % 4),
  },
  ...Object.fromEntries(
    ['dense network', 'residual network of basic blocks', 'transformer'].map(
      (name): [string, Trainee] => {
        const network = smallNetworks[name]!;
        return [
          name,
          {
            prepare: async (engine) => (await prepareStep(network, engine, { optimizer })).step,
            inputs: (step) => ({
              ...smallInputs(network, step % 4),
              // In larger steps a transformer as small as this doubles any difference every few steps.
              learningRate: Float32Array.of(1e-3),
            }),
          },
        ];
      },
    ),
  ),
};

async function curveOn(engine: EngineName, { prepare, inputs }: Trainee): Promise<number[]> {
  const step = await prepare(engine);
  const losses: number[] = [];
  for (let i = 0; i < STEPS; i++) losses.push((await step.run(inputs(i))).loss![0]!);
  await step.dispose();
  return losses;
}

/** But for the reference. */
const presentEngines = listEngines().then((reports) =>
  reports.filter(({ name, works }) => works && name !== 'tfjs-cpu').map(({ name }) => name),
);

for (const [name, trainee] of Object.entries(trainees)) {
  test(`${STEPS} steps of the ${name} have the same loss curve on every engine`, async (t) => {
    const expected = await curveOn('tfjs-cpu', trainee);
    // The curve is one of learning, not a flat line.
    t.true(expected.at(-1)! < 0.9 * expected[0]!, `${expected[0]} to ${expected.at(-1)}`);
    for (const engine of await presentEngines) {
      let curve: number[];
      try {
        curve = await curveOn(engine, trainee);
      } catch (error) {
        // WASM lacks kernels; then it says which.
        t.is(engine, 'tfjs-wasm');
        t.regex(
          String(error),
          /The engine 'tfjs-wasm' lacks the operation '\w+', which is called at /,
        );
        continue;
      }
      const difference = Math.max(...curve.map((loss, i) => Math.abs(loss - expected[i]!)));
      t.log(`${engine}: largest difference ${difference.toExponential(1)}`);
      t.true(difference < TOLERANCE * expected[0]!, `${engine}: ${difference}`);
    }
  });
}
