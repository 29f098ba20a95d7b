import test from 'ava';
import { createSystem, withCallOptions } from '../../runtime/index.ts';
import { startNatsServer } from '../support/nats-server.ts';
import { type NodeProcess, startNodeProcess } from '../support/node-process.ts';
import { collector, reporter } from './reporter.ts';

const REPORTERS = 8;
const REPORTS = 600;
const NODES = 3;
const KILL_EVERY_MS = 2_500;
const KILLS_MAX = 4;
const DEADLINE_MS = 45_000;

test('of 600 reports of each of 8 actors none is lost while nodes are killed', async (t) => {
  await using server = await startNatsServer();
  const bus = { nats: { servers: server.url, timeoutMs: 10_000 } };
  const common = { bus, namespace: 'no-loss', modules: [reporter.module], warmProcesses: 0 };
  await using system = await createSystem({ ...common, nodeName: 'owner', modules: [] });
  await using nodes = new Nodes((name) => startNodeProcess({ ...common, nodeName: name }));
  await Promise.all(Array.from({ length: NODES }, () => nodes.add()));
  await system.waitForNodes(NODES + 1, { timeoutMs: 20_000 });
  const deaths: string[] = [];
  system.onActorEvent(({ event, cause }) => {
    if (event === 'died') deaths.push(cause?.kind ?? 'none');
  });

  const sink = await system.spawn(collector, undefined, { isolation: 'inline' });
  const options = { collector: sink, reports: REPORTS };
  const handles = await Promise.all(
    Array.from({ length: REPORTERS }, (_, index) =>
      system.spawn(reporter, options, {
        name: `reporter-${index}`,
        isolation: 'inline',
        placement: 'spread',
        maxRestarts: 100,
      }),
    ),
  );
  const working = Promise.all(
    handles.map((handle) => withCallOptions(handle, { timeoutMs: DEADLINE_MS }).work()),
  );
  const killing = nodes.killEvery(KILL_EVERY_MS, KILLS_MAX);
  const epochs = await working;
  nodes.stopKilling();
  await killing;

  const { counts, repeated } = await sink.totals();
  t.deepEqual(counts, Array(REPORTERS).fill(REPORTS));
  t.true(nodes.killed >= 2, `only ${nodes.killed} nodes were killed`);
  t.true(Math.max(...epochs) > 1, 'no reporter was on a node that was killed');
  t.true(deaths.length > 0 && deaths.every((kind) => kind === 'node-lost'), deaths.join());
  t.log(
    `${nodes.killed} nodes killed, ${deaths.length} actors moved, ${repeated} reports repeated`,
  );
});

/** Node processes, of which the oldest is killed now and then, and followed by a new one. */
class Nodes {
  readonly #start: (name: string) => Promise<NodeProcess>;
  readonly #nodes: NodeProcess[] = [];
  readonly #enough = new AbortController();
  #started = 0;
  killed = 0;

  constructor(start: (name: string) => Promise<NodeProcess>) {
    this.#start = start;
  }

  async add(): Promise<void> {
    this.#started += 1;
    this.#nodes.push(await this.#start(`node-${this.#started}`));
  }

  async killEvery(everyMs: number, killsMax: number): Promise<void> {
    const { signal } = this.#enough;
    while (this.killed < killsMax) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, everyMs);
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      clearTimeout(timer);
      if (signal.aborted) return;
      await this.#nodes.shift()?.[Symbol.asyncDispose]();
      this.killed += 1;
      await this.add();
    }
  }

  stopKilling(): void {
    this.#enough.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopKilling();
    await Promise.all(this.#nodes.map((node) => node[Symbol.asyncDispose]()));
  }
}
