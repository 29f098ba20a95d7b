import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { compileStep, createState, decodeSafetensors } from '../../../compiler/index.ts';
import { createInference, importedWeights } from '../../../training/index.ts';
import { startSmallRun, writeSmallText } from '../../actors/small-run.ts';
import { actorctl, makeFolder, onlyRun, parseEvents } from '../actorctl-process.ts';

const reader = fileURLToPath(new URL('fixtures/read-export.py', import.meta.url));

/** What Python reads, where it has the packages; undefined elsewhere. */
async function readWithPython(...files: readonly string[]) {
  const python = async (...args: readonly string[]) =>
    (await promisify(execFile)('python3', args, { timeout: 60_000 })).stdout;
  const present = await python('-c', 'import numpy, onnxruntime, safetensors').catch(
    () => undefined,
  );
  if (present === undefined) return undefined;
  return JSON.parse(await python(reader, ...files)) as {
    readonly logits: readonly number[];
    readonly sums: Readonly<Record<string, number>>;
  };
}

test('a trained model is exported, and others compute with it what we do', async (t) => {
  await using folder = await makeFolder();
  const text = await writeSmallText(folder.path);
  await startSmallRun(folder.path, text, { steps: 6, burnInSteps: 3 }).ended;
  const run = await onlyRun(folder.path);
  const exported = async (...args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await actorctl(
      ['export', run, '--json', ...args],
      folder.path,
    );
    t.is(exitCode, 0, stderr);
    return parseEvents(stdout).at(-1)!;
  };
  const model = join(folder.path, 'model.onnx');
  const weights = join(folder.path, 'weights.safetensors');
  t.like(await exported('-o', 'model.onnx', '--replica', 'replica-2'), {
    type: 'export',
    step: 6,
    format: 'onnx',
    path: model,
  });
  const safetensors = ['--format', 'safetensors', '--replica', 'replica-2'];
  await exported('-o', 'weights.safetensors', ...safetensors);

  const { tensors, metadata } = decodeSafetensors(await readFile(weights));
  const config = JSON.parse(metadata.model!);
  const imported = importedWeights(config, tensors);
  t.deepEqual(Object.keys(imported), Object.keys(tensors));
  t.throws(() => importedWeights({ ...config, hiddenSize: 47 }, tensors), {
    message: /inputWeights/,
  });

  const { fn, inputs } = createInference(config, { batch: 1, time: 1 });
  const feeds = Object.entries(inputs).map(([name, { shape, dtype }]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const data = dtype === 'int32' ? new Int32Array(size) : new Float32Array(size);
    return [name, { dtype, shape, data: data.fill(1) }] as const;
  });
  const session = await InferenceSession.create(model);
  const results = await session.run(
    Object.fromEntries(
      feeds.map(([name, { dtype, shape, data }]) => [name, new Tensor(dtype, data, shape)]),
    ),
  );
  await session.release();
  // The reference: the same function and the imported weights, by tfjs itself.
  const state = createState(
    Object.fromEntries(
      Object.entries(tensors).map(([name, { shape }]) => [name, { shape, dtype: 'float32' }]),
    ),
  );
  for (const [name, values] of Object.entries(imported)) state.write(name, values);
  const reference = await compileStep((w, x) => ({ state: {}, outputs: { ...fn(w, x) } }), {
    state,
    inputs,
    engine: 'tfjs-cpu',
  });
  const expected = await reference.run(
    Object.fromEntries(feeds.map(([name, { data }]) => [name, data])),
  );
  for (const [name, values] of Object.entries(expected)) {
    const actual = results[name]!.data as Float32Array;
    t.is(actual.length, values.length);
    t.true(
      actual.every((value, i) => Math.abs(value - values[i]!) < 1e-5),
      name,
    );
  }

  const python = await readWithPython(model, weights);
  if (python === undefined) t.log('Python has no onnxruntime and safetensors here: not compared');
  else {
    t.true(python.logits.every((value, i) => Math.abs(value - expected.logits![i]!) < 1e-5));
    for (const [name, values] of Object.entries(imported)) {
      const sum = values.reduce((total, value) => total + Math.abs(value), 0);
      t.true(Math.abs(python.sums[name]! - sum) <= 1e-6 * sum, name);
    }
  }

  const refused = async (...args: readonly string[]) => {
    const { exitCode, stderr } = await actorctl(['export', run, ...args], folder.path);
    t.is(exitCode, 2);
    return stderr;
  };
  t.regex(await refused('-o', 'a.onnx', '--replica', 'replica-9'), /no checkpoint of replica-9/);
  t.regex(await refused('-o', 'a.onnx', '--format', 'gguf'), /onnx, safetensors/);
});
