import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ExecutionContext } from 'ava';
import type { Bus } from '../../runtime/bus/bus.ts';
import { collect } from './bus-contract.ts';

const CONSUMER = fileURLToPath(new URL('bus-consumer.ts', import.meta.url));
const MESSAGES = 400;
const MESSAGE_BYTES = 100_000;

export interface SlowConsumerScene {
  readonly kind: 'local' | 'nats';
  readonly address: string;
  /** The status that tells the consumer of its loss. */
  readonly told: string;
  readonly afterwards?: string;
  connect(): Promise<Bus>;
}

/**
 * A consumer in a stopped process must lose messages instead of filling the memory between, hurt
 * nobody, be told, and get what comes afterwards.
 */
export async function checkSlowConsumer(
  t: ExecutionContext,
  { kind, address, told, afterwards, connect }: SlowConsumerScene,
): Promise<void> {
  const [sender, healthy] = [await connect(), await connect()];
  const child = fork(CONSUMER, [kind, address, 'slow.data'], { stdio: 'inherit' });
  const heard: { type: string; received?: number }[] = [];
  const waiters: { type: string; resolve: () => void }[] = [];
  child.on('message', (message: { type: string; received?: number }) => {
    heard.push(message);
    for (const { type, resolve } of waiters) if (type === message.type) resolve();
  });
  const hears = (type: string): Promise<void> =>
    heard.some((message) => message.type === type)
      ? Promise.resolve()
      : new Promise((resolve) => waiters.push({ type, resolve }));
  try {
    await hears('ready');
    const all = collect(healthy, 'slow.data', MESSAGES);
    await healthy.flush();
    child.kill('SIGSTOP');
    for (let i = 0; i < MESSAGES; i += 1) {
      sender.publish('slow.data', new Uint8Array(MESSAGE_BYTES));
      if (i % 10 === 0) await sender.flush();
    }
    t.is((await all).length, MESSAGES);
    child.kill('SIGCONT');
    await hears(told);
    if (afterwards) await hears(afterwards);
    sender.publish('slow.data', new Uint8Array());
    await hears('end');
    const received = heard.at(-1)?.received ?? 0;
    t.true(received > 0 && received < MESSAGES, `${received} of ${MESSAGES} came through`);
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await Promise.all([sender.close(), healthy.close()]);
  }
}
