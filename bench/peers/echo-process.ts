/** Answers every message with itself: the far side of raw round trips, without any actor. */
import { connect } from '@nats-io/transport-node';
import { connectLocalBus } from '../../runtime/index.ts';

const [kind, address, subject] = process.argv.slice(2) as [string, string, string];
if (kind === 'local') {
  const bus = await connectLocalBus({ socketPath: address, timeoutMs: 10_000 });
  bus.subscribe(subject, ({ data, replySubject }) => bus.publish(replySubject!, data));
  await bus.flush();
} else {
  const connection = await connect({ servers: address });
  connection.subscribe(subject, {
    callback: (_error, message) => void message.respond(message.data),
  });
  await connection.flush();
}
process.stdin.once('end', () => process.exit(0)).resume();
console.log('ready');
