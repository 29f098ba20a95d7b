import { deflateRawSync } from 'node:zlib';
import test from 'ava';
import { selectLargest } from '../../../actors/exchange/largest-changes.ts';
import {
  applyChange,
  type DeltaCodec,
  deltaCodecs,
  encodeChange,
  rounded,
  tensorDeltaBytes,
} from '../../../actors/exchange/tensor-delta.ts';
import { DamagedDataError } from '../../../errors.ts';
import { createRandomGenerator } from '../../../training/index.ts';

const changing = deltaCodecs.filter((codec) => codec !== 'f32') as Exclude<DeltaCodec, 'f32'>[];

function numbers(count: number, seed: number, size = 1): Float32Array {
  const random = createRandomGenerator(seed, 'tensor deltas');
  return Float32Array.from({ length: count }, () => random.nextUniform(-size, size));
}

function largest(values: Iterable<number>): number {
  return Math.max(...[...values].map(Math.abs));
}

function applied(codec: Exclude<DeltaCodec, 'f32'>, values: Float32Array, from: Float32Array) {
  const delta = encodeChange(codec, values, from, 64);
  return applyChange('w', from, delta, { length: values.length, row: 64 });
}

test('weights of a teacher rounded to int4 and f16, by hand', (t) => {
  const values = Float32Array.of(7, -3.4, 0.4, 14, 0.9, -14);
  // Seven steps each way: of 1 in the first row, of 2 in the second.
  t.deepEqual([...rounded('int4', values, 3)], [7, -3, 0, 14, 0, -14]);
  // Eleven bits: next to 2049 are 2048 and 2050, and a tie goes to the even one.
  t.deepEqual([...rounded('f16', Float32Array.of(2049, 2051, 0.5), 3)], [2048, 2052, 0.5]);
});

test('a half that is sent as one arrives unchanged, infinities and subnormals included', (t) => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, half) => half);
  const zeros = new Float32Array(65_536);
  const fit = { length: 65_536, row: 64 };
  for (const codec of ['f16', 'bf16'] as const) {
    const values = applyChange('w', zeros, { codec, halves }, fit);
    const sent = encodeChange(codec, values, zeros, 64);
    if (sent.codec !== codec) return t.fail('another codec');
    const wrong = halves.filter((half) => {
      const value = values[half]!;
      // −0 is added to 0, and one of the many NaNs stands for all.
      return value !== 0 && !Number.isNaN(value) && sent.halves[half] !== half;
    });
    t.deepEqual([...wrong], []);
  }
});

test('halves are rounded to the nearest, to even between two', (t) => {
  const one = 1 + 2 ** -10;
  const cases: readonly (readonly [number, number])[] = [
    [1 + 2 ** -11, 1],
    [1 + 3 * 2 ** -11, 1 + 2 ** -9],
    [one + 2 ** -13, one],
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2 ** -23],
    [65_519, 65_504],
    [65_520, Number.POSITIVE_INFINITY],
    [-(2 ** -15), -(2 ** -15)],
  ];
  const values = Float32Array.from(cases, ([value]) => value);
  const delta = encodeChange('f16', values, new Float32Array(8), 8);
  const rounded = applyChange('w', new Float32Array(8), delta, { length: 8, row: 8 });
  t.deepEqual([...rounded], [...cases.map(([, expected]) => expected)]);
});

const errors = { bf16: 2 ** -8, f16: 2 ** -11, int8: 0.5 / 127, int4: 0.5 / 7 } as const;

for (const [codec, bound] of Object.entries(errors) as [keyof typeof errors, number][]) {
  test(`${codec} is within its rounding of the change`, (t) => {
    const from = numbers(1024, 1);
    const moves = numbers(1024, 2, 0.01);
    const values = from.map((value, i) => value + moves[i]!);
    const result = applied(codec, values, from);
    const error = largest(values.map((value, i) => value - result[i]!));
    t.true(error <= 0.01 * bound + 2 ** -24, `${error}`);
    t.true(error > 0);
  });
}

test('bytes: a half, a quarter, an eighth and less than a twenty-fifth of f32', (t) => {
  const values = numbers(65_536, 3);
  const from = numbers(65_536, 4);
  const share = (codec: Exclude<DeltaCodec, 'f32'>) =>
    tensorDeltaBytes(encodeChange(codec, values, from, 1024)) / values.byteLength;
  t.is(share('bf16'), 1 / 2);
  t.is(share('f16'), 1 / 2);
  // Differences of two uniform numbers: 7.7 bits each by Shannon; the scales are 1 / 1024 of it all.
  t.true(share('int8') < 0.245);
  t.true(share('int8') > 0.235);
  t.is(share('int4'), 1 / 8 + 1 / 1024);
  t.true(share('sparse') <= 1 / 25);
  t.true(share('sparse') > 1 / 32);
});

test('int8 is less than a quarter of f32 with its scales where rows are short, as in embeddings', (t) => {
  const random = createRandomGenerator(12, 'normal');
  const normal = () => {
    const radius = Math.sqrt(-2 * Math.log(1 - random.nextUniform(0, 1)));
    return radius * Math.cos(2 * Math.PI * random.nextUniform(0, 1));
  };
  const values = Float32Array.from({ length: 65_536 }, normal);
  const delta = encodeChange('int8', values, new Float32Array(65_536), 128);
  t.true(tensorDeltaBytes(delta) <= values.byteLength / 4);
});

test('int8 that unpacks to more or fewer steps, or to nothing, is refused', (t) => {
  const from = numbers(256, 13);
  const delta = encodeChange('int8', numbers(256, 14), from, 64);
  if (delta.codec !== 'int8') return t.fail('another codec');
  const packedOf = (count: number) => deflateRawSync(new Uint8Array(count));
  for (const packed of [
    packedOf(255),
    packedOf(1 << 24),
    delta.packed.subarray(1),
    new Uint8Array(0),
  ]) {
    const apply = () => applyChange('w', from, { ...delta, packed }, { length: 256, row: 64 });
    t.throws(apply, { instanceOf: DamagedDataError, message: /\bw\b/ });
  }
});

test('sparse sends the largest changes and leaves the others for later deltas', (t) => {
  const from = new Float32Array(20_000);
  const values = new Float32Array(20_000);
  values[3] = 0.5;
  values[18] = -0.125;
  values[15_000] = -0.25;
  const delta = encodeChange('sparse', values, from, 100);
  if (delta.codec !== 'sparse') return t.fail('not sparse');
  // 14,982 places are 998 times 15 and 12 more; 16 times 15 places are passed over by one entry.
  t.is(delta.entries.length, 2 + 63 + 1);
  t.deepEqual([delta.entries[0], delta.entries[1]], [(7 << 4) | 4, (8 << 4) | 15]);
  const received = applyChange('w', from, delta, { length: 20_000, row: 100 });
  const changed = [...received.keys()].filter((place) => received[place] !== 0);
  t.deepEqual(changed, [3, 18, 15_000]);
  t.is(received[18], -0.125);
  t.true(Math.abs(received[3]! - 0.5) < 1e-6);
  // The fourth of eight sizes between 1/8 and 1/2, each 4^(1/7) times the one before: 4 or 5 are equally near.
  t.true(Math.abs(Math.log(-received[15_000]! / 0.25)) < Math.log(4) / 14 + 1e-6);
});

test('sparse sends nothing where nothing changed, and one size as it is', (t) => {
  const from = numbers(2048, 9);
  const same = encodeChange('sparse', from, from, 64);
  t.true(same.codec === 'sparse' && same.entries.length === 0);
  const all = encodeChange('sparse', new Float32Array(2048).fill(-0.5), new Float32Array(2048), 64);
  const received = applyChange('w', new Float32Array(2048), all, { length: 2048, row: 64 });
  t.deepEqual(received, new Float32Array(2048).fill(-0.5, 0, 256));
});

test('a hundred sparse deltas of weights that move follow them', (t) => {
  let values: Float32Array = numbers(2048, 10);
  let received: Float32Array = values.slice();
  for (let round = 0; round < 100; round++) {
    const moves = numbers(2048, 11 + round, 0.01);
    values = values.map((value, i) => value + moves[i]!);
    const delta = encodeChange('sparse', values, received, 64);
    received = applyChange('w', received, delta, { length: 2048, row: 64 });
  }
  const behind = values.map((value, i) => value - received[i]!);
  const meanSquare = behind.reduce((sum, value) => sum + value ** 2, 0) / behind.length;
  // A round's own changes have a mean square of 0.01² / 3.
  t.true(meanSquare < 10 * (0.01 ** 2 / 3), `${meanSquare}`);
});

for (const codec of changing) {
  test(`${codec}: error feedback brings the receiver to weights that stay`, (t) => {
    const values = numbers(2048, 5);
    let received: Float32Array = numbers(2048, 6);
    let delta = encodeChange(codec, values, received, 64);
    for (let round = 0; round < 40; round++) {
      received = applyChange('w', received, delta, { length: 2048, row: 64 });
      delta = encodeChange(codec, values, received, 64);
    }
    t.true(largest(values.map((value, i) => value - received[i]!)) < 2e-7);
  });

  test(`${codec}: what doesn't fit is refused by name`, (t) => {
    const from = numbers(2048, 7);
    const delta = encodeChange(codec, numbers(2048, 8), from, 64);
    for (const [base, length] of [
      [undefined, 2048],
      [from.subarray(0, 64), 64],
    ] as const) {
      const apply = () => applyChange('w', base, delta, { length, row: 64 });
      t.throws(apply, { instanceOf: DamagedDataError, message: /\bw\b/ });
    }
  });
}

test('the largest are found whatever their number, zeros never', (t) => {
  const changes = Float32Array.of(0, -5, 0.001, 3, -0, 1e-30, 4);
  t.deepEqual([...selectLargest(changes, 2)], [1, 6]);
  t.deepEqual([...selectLargest(changes, 7)], [1, 2, 3, 5, 6]);
  t.deepEqual([...selectLargest(changes, 0)], []);
  t.deepEqual([...selectLargest(new Float32Array(10).fill(2), 3)], [0, 1, 2]);
});
