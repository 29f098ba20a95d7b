import test from 'ava';
import { createSystem } from '../../../runtime/index.ts';
import { peakBufferBytes } from '../../support/garbage.ts';
import { keeper } from '../../support/object-actors.ts';
import { registerObjectContract } from '../../support/object-contract.ts';
import { waitUntil } from '../../support/process-watch.ts';

registerObjectContract('actor processes on the local bus', (objects) =>
  createSystem({ bus: 'local', objects }),
);

test('a process that is killed holds nothing any more, but what it sent arrives', async (t) => {
  await using system = await createSystem({ bus: 'local' });
  const actor = await system.spawn(keeper, {}, { maxRestarts: 0 });
  const ref = await system.put('held by the dead');
  await actor.keep(ref);
  ref.release();
  const [sent] = await actor.forward();
  await t.throwsAsync(actor.die());
  await waitUntil(() => system.objects()[0]?.holders.length === 1, 'the dead to hold nothing');
  t.is(await system.get(sent!), 'held by the dead');
  sent!.release();
  t.deepEqual(system.objects(), []);
});

test('neither end holds more than twice the value', async (t) => {
  await using system = await createSystem({ bus: 'local' });
  const actor = await system.spawn(keeper, {});
  const byteLength = 32 << 20;
  const slack = 4 << 20;
  let far: { readonly put: number; readonly get: number } | undefined;
  const near = await peakBufferBytes(async () => {
    far = await actor.measure(byteLength);
  });
  // A figure below the value would mean that nothing was measured.
  for (const peak of [near, far!.put, far!.get]) {
    t.true(peak >= byteLength && peak <= 2 * byteLength + slack, `${peak} bytes at most`);
  }
});
