import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import {
  compileStep,
  createState,
  decodeSafetensors,
  type TensorData,
  type TensorSpec,
} from '../../../compiler/index.ts';
import {
  createInference,
  createModel,
  importedWeights,
  type Model,
  type ModelConfig,
} from '../../../training/index.ts';
import { startSmallRun, writeSmallText } from '../../actors/small-run.ts';
import { actorctl, makeFolder, onlyRun, parseEvents, startActorctl } from '../actorctl-process.ts';

const reader = fileURLToPath(new URL('../fixtures/read-export.py', import.meta.url));

type Specs = Readonly<Record<string, TensorSpec>>;

/** All ones: a word piece, a category, a pixel. */
function feedsFor(inputs: Specs): Readonly<Record<string, TensorData>> {
  const feeds = Object.entries(inputs).map(([name, { shape, dtype }]) => {
    const size = shape.reduce((product, length) => product * length, 1);
    return [name, (dtype === 'int32' ? new Int32Array(size) : new Float32Array(size)).fill(1)];
  });
  return Object.fromEntries(feeds);
}

async function runOnnx(file: string, inputs: Specs) {
  const session = await InferenceSession.create(file);
  const feeds = Object.entries(feedsFor(inputs)).map(([name, data]) => {
    const { dtype, shape } = inputs[name]!;
    return [name, new Tensor(dtype, data as Float32Array, shape)];
  });
  const outputs = await session.run(Object.fromEntries(feeds));
  await session.release();
  return outputs;
}

/** The same function of the same weights, by tfjs itself. */
async function runReference(
  model: Model,
  { batch, weights }: { batch: number; weights: Readonly<Record<string, Float32Array>> },
) {
  const { fn, inputs } = createInference(model, batch);
  const shapes = Object.entries({ ...model.parameters, ...model.statistics });
  const state = createState(
    Object.fromEntries(shapes.map(([name, shape]) => [name, { shape, dtype: 'float32' }])),
  );
  for (const [name, values] of Object.entries(weights)) state.write(name, values);
  const reference = await compileStep((w, x) => ({ state: {}, outputs: { ...fn(w, x) } }), {
    state,
    inputs,
    engine: 'tfjs-cpu',
  });
  const outputs = await reference.run(feedsFor(inputs));
  await reference.dispose();
  return { inputs, outputs };
}

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

const plan = { steps: 6, burnInSteps: 3, checkpointIntervalSteps: 3, 'exchange.intervalSteps': 1 };

/** A run that has one model of each kind, or two. */
const runs: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  'lm-codistill': async (folder) => {
    const options = { ...plan, 'perReplica.2.model.kind': 'transformer' };
    const small = { 'perReplica.2.model.width': 16, 'perReplica.2.model.heads': 2 };
    const text = await writeSmallText(folder);
    return await startSmallRun(folder, text, { ...options, ...small }).ended;
  },
  'tabular-codistill': (folder) =>
    startJob('tabular-codistill', folder, { rows: 1000, batch: 32, 'model.hiddenSizes': '8,4' }),
  'image-codistill': (folder) =>
    startJob('image-codistill', folder, {
      images: 200,
      imageSize: 8,
      batch: 8,
      'model.width': 4,
      'model.stages': '1,1',
    }),
};

function startJob(job: string, folder: string, options: Readonly<Record<string, string | number>>) {
  const settings = Object.entries({ ...plan, ...options });
  const sets = settings.flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  return startActorctl(['run', job, '--json', ...sets], folder).ended;
}

for (const [job, replica, kind, shape, window] of [
  ['lm-codistill', 'replica-1', 'lstm', [2, 3, 320], ['--time', '3']],
  ['lm-codistill', 'replica-2', 'transformer', [2, 16, 320], []],
  ['tabular-codistill', 'replica-2', 'dense', [2, 2], []],
  ['image-codistill', 'replica-1', 'residual', [2, 10], []],
] as const) {
  test.serial(
    `a trained ${kind} model is exported, and others compute with it what we do`,
    async (t) => {
      await using folder = await makeFolder();
      await runs[job]!(folder.path);
      const run = await onlyRun(folder.path);
      const exported = async (...args: readonly string[]) => {
        const command = ['export', run, '--json', '--replica', replica, ...args];
        const { exitCode, stdout, stderr } = await actorctl(command, folder.path);
        t.is(exitCode, 0, stderr);
        return parseEvents(stdout).at(-1)!;
      };
      const [onnx, safetensors] = [join(folder.path, 'm.onnx'), join(folder.path, 'w.safetensors')];
      const told = await exported('-o', 'm.onnx', '--batch', '2', ...window);
      t.like(told, { type: 'export', step: 6, format: 'onnx', path: onnx });
      await exported('-o', 'w.safetensors', '--format', 'safetensors');

      const { tensors, metadata } = decodeSafetensors(await readFile(safetensors));
      const config = JSON.parse(metadata.model!) as ModelConfig;
      t.is(config.kind, kind);
      const model = createModel(
        kind === 'lstm' ? ({ ...config, kind, time: 3 } as ModelConfig) : config,
      );
      const weights = importedWeights(model, tensors);
      t.deepEqual(Object.keys(weights).sort(), Object.keys(tensors).sort());

      const { inputs, outputs: expected } = await runReference(model, { batch: 2, weights });
      t.deepEqual(told.inputs, JSON.parse(JSON.stringify(inputs)));
      const outputs = await runOnnx(onnx, inputs);
      t.deepEqual(outputs.logits?.dims, [...shape]);
      t.deepEqual(Object.keys(outputs).sort(), Object.keys(expected).sort());
      for (const [name, values] of Object.entries(expected)) {
        const actual = outputs[name]!.data as Float32Array;
        t.is(actual.length, values.length);
        t.true(
          actual.every((value, at) => Math.abs(value - values[at]!) < 1e-4),
          name,
        );
      }

      const python = await readWithPython(onnx, safetensors);
      if (python === undefined) t.log('Python has no onnxruntime and safetensors: not compared');
      else {
        t.true(python.logits.every((value, at) => Math.abs(value - expected.logits![at]!) < 1e-4));
        for (const [name, values] of Object.entries(weights)) {
          const sum = values.reduce((total, value) => total + Math.abs(value), 0);
          t.true(Math.abs(python.sums[name]! - sum) <= 1e-5 * Math.max(1, sum), name);
        }
      }
    },
  );
}

test.serial('what can not be exported is refused with what there is', async (t) => {
  await using folder = await makeFolder();
  await runs['tabular-codistill']!(folder.path);
  const run = await onlyRun(folder.path);
  const refused = async (...args: readonly string[]) => {
    const { exitCode, stderr } = await actorctl(['export', run, ...args], folder.path);
    t.is(exitCode, 2);
    return stderr;
  };
  t.regex(
    await refused('-o', 'a.onnx', '--replica', 'replica-9'),
    /no replica-9: it has replica-1, replica-2/,
  );
  const nowhere = await refused('-o', 'no/such/folder/a.onnx');
  t.regex(nowhere, /no\/such\/folder\/a\.onnx can't be written.*ENOENT/);
  t.notRegex(nowhere, /^ +at /m);
  t.regex(await refused('-o', 'a.onnx', '--format', 'gguf'), /onnx, safetensors/);
  t.regex(await refused('-o', 'a.onnx', '--time', '4'), /--time 4 .* dense network reads no text/);
});
