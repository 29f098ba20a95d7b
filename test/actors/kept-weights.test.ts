import test from 'ava';
import { KeptWeights } from '../../actors/kept-weights.ts';

test('copies are kept until they or later ones are asked for', (t) => {
  const kept = new KeptWeights();
  const weights = { w: Float32Array.of(1) };
  kept.keep(10, weights);
  weights.w[0] = 2;
  kept.keep(20, weights);
  t.deepEqual(kept.get(10), { w: Float32Array.of(1) });
  t.deepEqual(kept.get(20), { w: Float32Array.of(2) });
  t.is(kept.get(10), undefined);
  t.is(kept.get(15), undefined);
  t.deepEqual(kept.get(20), { w: Float32Array.of(2) });
});

test('of large weights two copies are kept, the newest', (t) => {
  const kept = new KeptWeights();
  const weights = { w: new Float32Array(10 * 2 ** 20) };
  for (const version of [1, 2, 3]) kept.keep(version, weights);
  t.is(kept.get(1), undefined);
  t.truthy(kept.get(2));
  t.truthy(kept.get(3));
});
