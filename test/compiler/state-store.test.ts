import test from 'ava';
import { createState } from '../../compiler/index.ts';
import { StateMemory } from '../../compiler/state-store.ts';

test('a state starts at zero, in arrays of each entry’s type and size', (t) => {
  const state = createState({
    weights: { shape: [2, 3], dtype: 'float32' },
    steps: { shape: [], dtype: 'int32' },
    mask: { shape: [5], dtype: 'bool' },
    empty: { shape: [0, 4], dtype: 'float32' },
  });
  t.deepEqual(state.read('weights'), new Float32Array(6));
  t.deepEqual(state.read('steps'), new Int32Array(1));
  t.deepEqual(state.read('mask'), new Uint8Array(5));
  t.is(state.read('empty').length, 0);
});

test('a view stays valid and shows what is written through another', (t) => {
  const state = createState({
    a: { shape: [3], dtype: 'float32' },
    b: { shape: [3], dtype: 'float32' },
  });
  const before = state.read('a');
  state.read('a').set([1, 2, 3]);
  t.deepEqual([...before], [1, 2, 3]);
  t.deepEqual([...state.read('b')], [0, 0, 0]);
});

test('entries start on cache lines, so that one’s padding is nobody’s data', (t) => {
  const state = createState({
    a: { shape: [3], dtype: 'bool' },
    b: { shape: [17], dtype: 'float32' },
    c: { shape: [1], dtype: 'int32' },
  }) as StateMemory;
  for (const name of ['a', 'b', 'c']) t.is(state.offsetOf(name) % 64, 0);
  t.is(state.offsetOf('c') - state.offsetOf('b'), 128);
});

test('scratch memory grows without touching the state', (t) => {
  const state = createState({ a: { shape: [2], dtype: 'float32' } }) as StateMemory;
  const view = state.read('a');
  view.set([1, 2]);
  const small = state.scratch(100)!;
  const large = state.scratch(1_000_000)!;
  t.is(small, large);
  t.true(large.buffer.byteLength >= 1_000_000);
  t.is(state.scratch(10), large);
  t.deepEqual([...view], [1, 2]);
});

test('unknown entries and impossible specifications are refused by name', (t) => {
  const state = createState({ a: { shape: [2], dtype: 'float32' } });
  t.throws(() => state.read('b'), { instanceOf: RangeError, message: /no state 'b'.*a/ });
  t.throws(() => createState({ a: { shape: [-1], dtype: 'float32' } }), {
    instanceOf: RangeError,
    message: /'a'.*\[-1\]/,
  });
  t.throws(() => createState({ a: { shape: [1], dtype: 'float64' as 'float32' } }), {
    instanceOf: TypeError,
    message: /'a'.*float64/,
  });
});

test('after dispose a state can’t be read or run on', (t) => {
  const state = createState({ a: { shape: [2], dtype: 'float32' } }) as StateMemory;
  state.dispose();
  t.throws(() => state.read('a'), { message: /dispose/ });
  t.throws(() => state.acquire('A step'), { message: /dispose/ });
});

test('a state that a run holds can’t be taken by another run or disposed of', (t) => {
  const state = new StateMemory({ a: { shape: [2], dtype: 'float32' } });
  state.acquire('The first step');
  t.throws(() => state.acquire('The second step'), { message: /The first step/ });
  t.throws(() => state.dispose(), { message: /The first step/ });
  state.release();
  t.notThrows(() => state.acquire('The second step'));
});
