/**
 * A process of its own that subscribes and tells its parent what it hears; the parent may stop it.
 */
import { connectLocalBus } from '../../runtime/bus/local-bus.ts';
import { connectNatsBus } from '../../runtime/bus/nats-bus.ts';

const [kind, address, subject] = process.argv.slice(2) as [string, string, string];
const bus =
  kind === 'local'
    ? await connectLocalBus({ socketPath: address, timeoutMs: 10_000 })
    : await connectNatsBus({ servers: address, timeoutMs: 10_000 });
let received = 0;
bus.subscribe(subject, ({ data }) => {
  received += 1;
  if (data.length === 0) process.send!({ type: 'end', received });
});
bus.onStatus(({ type }) => process.send!({ type }));
await bus.flush();
process.send!({ type: 'ready' });
process.once('disconnect', () => void bus.close());
