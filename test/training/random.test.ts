import test from 'ava';
import {
  createRandomGenerator,
  initialiseParameters,
  languageModelParameters,
} from '../../training/index.ts';
import { tinyModel } from './tensors.ts';

test('a seed repeats its numbers, another seed or stream gives others', (t) => {
  const draw = (seed: number, stream?: string) => {
    const random = createRandomGenerator(seed, stream);
    return Array.from({ length: 8 }, () => random.nextUint32());
  };
  t.deepEqual(draw(7), draw(7));
  t.notDeepEqual(draw(7), draw(8));
  t.notDeepEqual(draw(7, 'a'), draw(7, 'b'));
  // Seeds that differ only above 32 bits differ too.
  t.notDeepEqual(draw(7), draw(7 + 2 ** 32));
});

test('uniform numbers stay in their range and fill it evenly', (t) => {
  const random = createRandomGenerator(1);
  const counts = new Array<number>(10).fill(0);
  for (let draw = 0; draw < 100_000; draw++) {
    const value = random.nextUniform(-1, 1);
    t.true(value >= -1 && value < 1);
    counts[Math.floor((value + 1) * 5)]! += 1;
  }
  // 10,000 expected in each tenth, give or take five standard deviations of 95.
  for (const count of counts) t.true(Math.abs(count - 10_000) < 475, `${counts}`);
});

test('a seed that is no whole number is refused', (t) => {
  t.throws(() => createRandomGenerator(1.5), { instanceOf: RangeError, message: /seed is 1\.5/ });
  t.throws(() => createRandomGenerator(-1), { instanceOf: RangeError, message: /seed is -1/ });
});

test('initial parameters repeat with the seed and differ between seeds', (t) => {
  t.deepEqual(initialiseParameters(tinyModel, 3), initialiseParameters(tinyModel, 3));
  t.notDeepEqual(
    initialiseParameters(tinyModel, 3).embedding,
    initialiseParameters(tinyModel, 4).embedding,
  );
});

test('initial parameters have their shapes, gates unsaturated, biases 0 and the forget gate open', (t) => {
  const values = initialiseParameters(tinyModel, 3);
  const shapes = languageModelParameters(tinyModel);
  t.deepEqual(Object.keys(values), Object.keys(shapes));
  for (const [name, shape] of Object.entries(shapes)) {
    t.is(
      values[name]!.length,
      shape.reduce((product, size) => product * size, 1),
    );
  }
  t.deepEqual([...values['layer1/bias']!], [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
  t.deepEqual([...values['layer0/cellGain']!], [1, 1, 1, 1]);
  t.true(values['layer0/inputGain']!.every((value) => value === 0.5));
  t.true(values['layer1/recurrentGain']!.every((value) => value === 0.5));
  t.true(values['output/bias']!.every((value) => value === 0));
  const bound = Math.sqrt(6 / (11 + 4));
  t.true(values['output/weights']!.every((value) => Math.abs(value) <= bound));
  t.true(Math.max(...values['output/weights']!) > bound / 2);
});

test("a parameter's first values don't depend on which other parameters there are", (t) => {
  const deeper = initialiseParameters({ ...tinyModel, layers: 3 }, 3);
  t.deepEqual(
    deeper['layer0/inputWeights'],
    initialiseParameters(tinyModel, 3)['layer0/inputWeights'],
  );
});
