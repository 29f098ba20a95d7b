/** The program that a node starts for each actor that lives in its own process. */
import { createInterface } from 'node:readline';
import { UnknownActorTypeError } from '../../errors.ts';
import { ActorHost } from '../calls/actor-host.ts';
import { Caller } from '../calls/caller.ts';
import { requestControl, serveControl } from '../calls/control.ts';
import { type Endpoint, openCarried, watchLink } from '../calls/endpoint.ts';
import { systemClock } from '../clock.ts';
import { incarnationOf, subjects } from '../wire/address.ts';
import {
  encodeMessage,
  parseStartValue,
  type StartMessage,
  type WireMessage,
} from '../wire/wire.ts';
import { findDefinition } from './definition-lookup.ts';
import { connectBus, type ProcessBoot, parseProcessBoot } from './process-boot.ts';

const READY_TIMEOUT_MS = 30_000;
const FETCH_TIMEOUT_MS = 60_000;

// Ctrl-C reaches every process of the terminal; ours are drained and stopped by their node.
process.on('SIGINT', () => {});

const boot = await readBoot();
const bus = await connectBus(boot.bus, `actor-process-${boot.processId}`);
bus.onStatus((status) => {
  if (status.type === 'closed') process.exit(0);
});
const endpoint: Endpoint = {
  bus,
  clock: systemClock,
  namespace: boot.namespace,
  nodeId: boot.nodeId,
  link: watchLink(bus, systemClock),
};
const caller = new Caller(endpoint);
let started: { readonly incarnation: string; readonly answer: Promise<WireMessage> } | undefined;

serveControl(bus, subjects.process(boot.namespace, boot.processId), (message) => {
  if (message.kind !== 'start') return undefined;
  const incarnation = incarnationOf(message.owner, message.name, message.epoch);
  // The request may come twice; another actor is refused: one process, one actor.
  if (started !== undefined && started.incarnation !== incarnation) {
    throw new Error(`process ${boot.processId} runs ${started.incarnation} already`);
  }
  started ??= { incarnation, answer: startActor(message) };
  return started.answer;
});
await bus.flush();
await requestControl(
  endpoint,
  subjects.node(boot.namespace, boot.nodeId),
  'done',
  { bytes: encodeMessage({ kind: 'ready', processId: boot.processId }) },
  { timeoutMs: READY_TIMEOUT_MS },
);

async function startActor(start: StartMessage): Promise<WireMessage> {
  const modules = boot.modules.filter((url) => start.module === undefined || url === start.module);
  const definition = await findDefinition(modules, start.type);
  if (definition === undefined) {
    const searched = modules.join(', ') || `none: ${start.module} is not among the allowed modules`;
    throw new UnknownActorTypeError(
      `no module exports an actor definition of type ${start.type}; searched: ${searched}`,
    );
  }
  const value = await openCarried(bus, start, { timeoutMs: FETCH_TIMEOUT_MS });
  const { options, state } = parseStartValue(value);
  const host = await ActorHost.start({ endpoint, path: caller, definition, start, options, state });
  void leave(host);
  return { kind: 'started', pid: process.pid };
}

async function leave(host: ActorHost): Promise<void> {
  await host.ended;
  // The answer to the stop request must be out before the process is.
  await bus.flush().catch(() => {});
  process.exit(0);
}

/** The end of standard input means that the node is gone, even by `kill -9`. */
function readBoot(): Promise<ProcessBoot> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: process.stdin });
    lines.once('line', (line) => {
      try {
        resolve(parseProcessBoot(line));
      } catch (error) {
        reject(error);
      }
    });
    lines.once('close', () => process.exit(0));
  });
}
