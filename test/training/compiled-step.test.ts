import test from 'ava';
import {
  compileStep,
  createState,
  type EngineName,
  type TensorData,
} from '../../compiler/index.ts';
import {
  createRandomGenerator,
  initialiseParameters,
  type LanguageModelConfig,
  type Step,
} from '../../training/index.ts';
import { languageModelEvaluation, languageModelStep } from './language-model-steps.ts';
import { close } from './tensors.ts';

const model: LanguageModelConfig = {
  vocabularySize: 37,
  embeddingSize: 6,
  hiddenSize: 8,
  layers: 2,
};
const teacher: LanguageModelConfig = { ...model, hiddenSize: 12, layers: 1 };
const [batch, time] = [3, 5];
const training = {
  model,
  batch,
  time,
  teachers: [model, teacher],
  // With a tiny epsilon Adam turns the rounding of gradients near zero into whole steps.
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-3 },
  clipNorm: 0.2,
  distillWeight: 1,
};
const weights: Record<string, LanguageModelConfig> = {
  student: model,
  teacher0: model,
  teacher1: teacher,
  replica0: model,
  replica1: teacher,
};

/** Runs `steps` in turn over one state, on fresh random windows; all that came out and was kept. */
async function run(engine: EngineName, steps: readonly Step[], first: Step) {
  const state = createState(first.state);
  for (const [index, [prefix, config]] of Object.entries(weights).entries()) {
    for (const [name, values] of Object.entries(initialiseParameters(config, 1 + index))) {
      const entry = `${prefix}/${name}`;
      if (entry in first.state) (state.read(entry) as Float32Array).set(values);
    }
  }
  const outputs: Record<string, TensorData>[] = [];
  for (const [index, { step, inputs }] of steps.entries()) {
    const compiled = await compileStep(step, { state, inputs, engine });
    outputs.push(await compiled.run(inputsFor(inputs, index)));
    await compiled.dispose();
  }
  await state.toHost();
  const entries = Object.keys(first.state).map((name) => [name, state.read(name).slice()] as const);
  state.dispose();
  return { outputs, state: Object.fromEntries(entries) };
}

function inputsFor(specs: Step['inputs'], index: number): Record<string, TensorData> {
  const random = createRandomGenerator(50 + index);
  const pieces = () =>
    Int32Array.from({ length: batch * time }, () => random.nextUint32() % model.vocabularySize);
  const rate = 'learningRate' in specs ? { learningRate: Float32Array.of(0.01) } : {};
  return { tokens: pieces(), targets: pieces(), ...rate };
}

for (const engine of ['onnx-cpu', 'tfjs-wasm'] as const) {
  test(`burn-in and taught steps on ${engine} agree with tfjs-cpu`, async (t) => {
    const taught = languageModelStep(training);
    const burnIn = languageModelStep({ ...training, teachers: [] });
    const steps = [burnIn, burnIn, taught, taught];
    const expected = await run('tfjs-cpu', steps, taught);
    const actual = await run(engine, steps, taught);
    // All four steps clip.
    t.true(expected.outputs.every(({ gradientNorm }) => gradientNorm![0]! > training.clipNorm));
    for (const [index, outputs] of actual.outputs.entries()) {
      for (const [name, values] of Object.entries(outputs)) {
        close(t, [...values], [...expected.outputs[index]![name]!], 5e-5);
      }
    }
    for (const [name, values] of Object.entries(expected.state)) {
      // Four steps of up to 0.01 each; layer norm enlarges what rounding left.
      close(t, [...actual.state[name]!], [...values], 5e-5);
    }
  });
}

test('an evaluation step on onnx-cpu agrees with tfjs-cpu', async (t) => {
  const evaluation = languageModelEvaluation({ models: [model, teacher], batch, time });
  const steps = [evaluation, evaluation];
  const expected = await run('tfjs-cpu', steps, evaluation);
  const actual = await run('onnx-cpu', steps, evaluation);
  for (const [index, outputs] of actual.outputs.entries()) {
    t.deepEqual(Object.keys(outputs).sort(), [
      'disagreement',
      'ensembleLoss',
      'losses',
      'topAgreement',
    ]);
    for (const [name, values] of Object.entries(outputs)) {
      close(t, [...values], [...expected.outputs[index]![name]!], 2e-6);
    }
  }
  for (const [name, values] of Object.entries(expected.state)) {
    close(t, [...actual.state[name]!], [...values], 2e-6);
  }
});
