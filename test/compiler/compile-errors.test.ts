import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import test from 'ava';
import { compile, compileStep, createState } from '../../compiler/index.ts';
import { CannotCompileError } from '../../errors.ts';

test.before(async () => {
  await tf.setBackend('cpu');
});

const vector = { x: { shape: [4], dtype: 'float32' } } as const;

/** Two layers of one name, ready to be used. */
const stateful = [1, 2].map(() => {
  const layer = layers.layers.simpleRNN({
    units: 1,
    stateful: true,
    name: 'same',
    recurrentInitializer: 'glorotUniform',
    batchInputShape: [1, 2, 1],
  });
  layers.sequential({ layers: [layer] });
  return layer;
});

const refusals: Record<string, [fn: () => unknown, message: RegExp]> = {
  'Math.random': [() => tf.scalar(Math.random()), /Math\.random\(\).*input/],
  'an operation that draws otherwise': [() => tf.randomGamma([3], 1), /randomGamma.*input/],
  'random whole numbers': [() => tf.randomUniform([9], 0, 9, 'int32'), /tf\.floor/],
  'a variable made of what it computes': [
    () => tf.variable(tf.exp(tf.variable(tf.ones([2]), true, 'source'))),
    /creates the variable.*at .*compile-errors\.test\.ts:\d+.*Create it before/,
  ],
  'an operation that is not known, with its place': [
    () => tf.unique(tf.ones([3])).values,
    /'Unique' at .*compile-errors\.test\.ts:\d+:\d+.*can't be compiled/,
  ],
  'control flow that depends on data, with its place': [
    () => (tf.sum(tf.exp(tf.variable(tf.ones([2]), true, 'data'))).dataSync()[0]! > 0 ? 1 : 2),
    /was read at .*compile-errors\.test\.ts:\d+:\d+.*tf\.where instead of if/,
  ],
  'attributes that are not known, with their place': [
    () => tf.depthToSpace(tf.ones([1, 4, 2, 2]), 2, 'NCHW'),
    /NHWC only.*compile-errors\.test\.ts:\d+:\d+/,
  ],
  'a promise': [async () => ({}), /synchronous/],
  'a promise that would fail': [() => Promise.reject(new Error('unheard')), /synchronous/],
  'values by a promise, with the place': [
    () => void tf.ones([2]).data(),
    /was read at .*compile-errors\.test\.ts:\d+:\d+/,
  ],
  'what a layer reads, with its name': [
    () =>
      layers.layers
        .categoryEncoding({ numTokens: 3, outputMode: 'multiHot' })
        .apply(tf.cast(tf.variable(tf.ones([2]), true, 'codes'), 'int32')),
    /was read by CategoryEncoding\.call at .*compile-errors\.test\.ts:\d+:\d+/,
  ],
  'text, with the place': [
    () => tf.tensor(['text']),
    /dtype 'string' is used at .*compile-errors\.test\.ts:\d+:\d+/,
  ],
  'two stateful layers of one name': [
    () => {
      const inputs = tf.ones([1, 2, 1]);
      return { a: stateful[0]!.apply(inputs), b: stateful[1]!.apply(inputs) };
    },
    /Two stateful layers are called 'same'/,
  ],
};

for (const [what, [fn, message]] of Object.entries(refusals)) {
  test.serial(`a function is refused for ${what}`, async (t) => {
    const before = Object.keys(tf.engine().state.registeredVariables);
    await t.throwsAsync(compile(fn as () => tf.Tensor, vector), {
      instanceOf: CannotCompileError,
      message,
    });
    t.deepEqual(Object.keys(tf.engine().state.registeredVariables), before);
    t.not(Math.random(), 0.5);
  });
}

const mistakes: Record<string, [fn: (x: tf.Tensor) => unknown, message: RegExp]> = {
  'sizes of a product that differ': [
    (x) => tf.matMul(tf.reshape(x, [2, 2]), tf.ones([3, 2])),
    /'BatchMatMul' at .*compile-errors\.test\.ts:\d+:\d+.* \[2,2\] and \[3,2\] are 2 and 3/,
  ],
  'shapes that don’t broadcast': [
    (x) => tf.add(x, tf.ones([3])),
    /'Add' at .*compile-errors\.test\.ts:\d+:\d+.* \[4\] and \[3\] don't broadcast/,
  ],
  'a tensor that is gone': [
    (x) => {
      gone.dispose();
      return tf.add(x, gone);
    },
    /disposed of is used at .*compile-errors\.test\.ts:\d+:\d+/,
  ],
  'an array of what isn’t a tensor': [() => ({ loss: 3 }), /output 'loss' is not a tensor/],
  'a constant index out of range': [
    (x) => tf.gather(x, tf.tensor1d([-1], 'int32')),
    /'GatherV2' at .*compile-errors\.test\.ts:\d+:\d+.* index -1 is not in \[0, 3\]/,
  ],
  'no effect': [() => undefined, /returns no tensor, and changes no variable/],
  null: [() => null, /must return a tensor/],
};

let gone: tf.Tensor;

for (const [what, [fn, message]] of Object.entries(mistakes)) {
  test.serial(`a function fails by name and place for ${what}`, async (t) => {
    gone = tf.ones([4]);
    const { numTensors } = tf.memory();
    const error = await t.throwsAsync(
      compile((inputs) => fn(inputs.x) as tf.Tensor, vector),
      { message },
    );
    t.false(error instanceof CannotCompileError);
    t.true(tf.memory().numTensors <= numTensors);
    gone.dispose();
  });
}

const badCalls: Record<string, [call: () => Promise<unknown>, message: RegExp]> = {
  'no function': [() => compile(undefined as never, vector), /takes a function first.*undefined/],
  'no signature': [
    () => compile(() => tf.ones([1]), undefined as never),
    /Inputs must be described by name/,
  ],
  'a shape alone': [
    () => compile(() => tf.ones([1]), { x: [2, 2] } as never),
    /'x' must be described as \{ shape.*not by \[2,2\]/,
  ],
  'an open batch size': [
    () => compile(() => tf.ones([1]), { x: { shape: [null, 2], dtype: 'float32' } } as never),
    /'x' has shape \[null,2\].*batch size/,
  ],
  'a type that objects know': [
    () => compile(() => tf.ones([1]), { x: { shape: [2], dtype: 'toString' } } as never),
    /'x' has dtype 'toString'/,
  ],
  'options of nothing': [
    () => compile(() => tf.ones([1]), {}, null as never),
    /takes options third, but was given null/,
  ],
  'an option that there isn’t': [
    () => compile(() => tf.ones([1]), {}, { enigne: 'onnx-cpu' } as never),
    /no option 'enigne'.*engine/,
  ],
  'variables of nothing': [
    () => compile(() => tf.ones([1]), {}, { variablesOf: {} } as never),
    /variablesOf must be what compile\(\) answered/,
  ],
  ...Object.fromEntries(
    (
      [
        ['an unknown name', 'b', /'b', which is no state/],
        ['what is no matrix', 'list', /'list', which is float32\[2\]/],
        ['what the step updates', 'matrix', /'matrix', which the step updates/],
      ] as const
    ).map(([what, name, message]) => [
      `int8Weights with ${what}`,
      [
        () =>
          compileStep(
            ({ matrix }, { x }) => ({ state: { matrix: tf.add(matrix!, x!) }, outputs: {} }),
            {
              state: createState({
                matrix: { shape: [2, 4], dtype: 'float32' },
                list: { shape: [2], dtype: 'float32' },
              }),
              inputs: vector,
              int8Weights: [name],
            },
          ),
        message,
      ] as const,
    ]),
  ),
};

for (const [what, [call, message]] of Object.entries(badCalls)) {
  test.serial(`a call is refused for ${what}`, async (t) => {
    await t.throwsAsync(call(), { message });
  });
}

test.serial(
  'a state that was disposed of is refused, and disposing twice is harmless',
  async (t) => {
    const state = createState({ a: { shape: [4], dtype: 'float32' } });
    state.dispose();
    state.dispose();
    const step = compileStep(() => ({ state: {}, outputs: {} }), { state, inputs: vector });
    await t.throwsAsync(step, { message: /after its state's dispose\(\)/ });
  },
);
