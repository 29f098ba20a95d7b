/** A process of its own that offers a value, so that a test can kill it. */

import { connectLocalBus } from '../../runtime/bus/local-bus.ts';
import { connectNatsBus } from '../../runtime/bus/nats-bus.ts';
import { offerChunks } from '../../runtime/wire/chunks.ts';

const [kind, address] = process.argv.slice(2) as [string, string];
const timeoutMs = 60_000;
const bus =
  kind === 'local'
    ? await connectLocalBus({ socketPath: address, timeoutMs })
    : await connectNatsBus({ servers: address, timeoutMs });
const offer = offerChunks(bus, new Uint8Array(64 << 20), { timeoutMs });
await bus.flush();
process.send!(offer.reference);
process.once('disconnect', () => process.exit());
