import test from 'ava';
import { createState } from '../../compiler/index.ts';
import { type DeviceValues, StateMemory } from '../../compiler/state-store.ts';

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

/** The values of an entry somewhere else, as an engine with a memory of its own holds them. */
class Elsewhere implements DeviceValues {
  freed = 0;
  readonly #values: Float32Array;

  constructor(...values: readonly number[]) {
    this.#values = Float32Array.from(values);
  }

  async download(): Promise<Float32Array> {
    return this.#values;
  }

  free(): void {
    this.freed++;
  }
}

test('an entry on a device is read only once it has been brought back', async (t) => {
  const state = new StateMemory({ a: { shape: [2], dtype: 'float32' } });
  const values = new Elsewhere(3, 4);
  state.keepOnDevice('a', values);
  t.throws(() => state.read('a'), { message: /await state\.toHost/ });
  await state.toHost();
  t.deepEqual([...state.read('a')], [3, 4]);
  t.is(values.freed, 1);
  t.is(state.onDevice('a'), undefined);
});

test('values of another type or size are not written', (t) => {
  const state = new StateMemory({ a: { shape: [2], dtype: 'float32' } });
  const write = (values: unknown) => () => state.write('a', values as Float32Array);
  t.throws(write(Int32Array.of(5, 6)), {
    instanceOf: TypeError,
    message: /'a' expects Float32Array.*given Int32Array/,
  });
  t.throws(write([5, 6]), { instanceOf: TypeError, message: /given Array/ });
  t.throws(write(Float32Array.of(5)), { instanceOf: RangeError, message: /2 elements/ });
  t.deepEqual([...state.read('a')], [0, 0]);
});

test('newer values of an entry, and dispose, free those on the device', (t) => {
  const state = new StateMemory({ a: { shape: [2], dtype: 'float32' } });
  const [first, second, third] = [new Elsewhere(1, 1), new Elsewhere(2, 2), new Elsewhere(3, 3)];
  state.keepOnDevice('a', first);
  state.keepOnDevice('a', second);
  state.write('a', Float32Array.of(5, 6));
  t.deepEqual([...state.read('a')], [5, 6]);
  state.keepOnDevice('a', third);
  state.dispose();
  t.deepEqual([first.freed, second.freed, third.freed], [1, 1, 1]);
});

test('state is brought back after the run that is going on, and no run begins meanwhile', async (t) => {
  const state = new StateMemory({ a: { shape: [1], dtype: 'float32' } });
  state.keepOnDevice('a', new Elsewhere(1));
  state.acquire('The step');
  const brought = state.toHost(['a']);
  state.keepOnDevice('a', new Elsewhere(2));
  state.release();
  await brought;
  t.deepEqual([...state.read('a')], [2]);
  await state.settled();
  state.acquire('The next step');
  state.release();
  await t.throwsAsync(state.toHost(['b']), { instanceOf: RangeError, message: /no state 'b'/ });
});
