import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BusUnavailableError, UserInputError } from '../../errors.ts';
import {
  type Bus,
  connectLocalBus,
  connectNatsBus,
  createObserver,
  type Observer,
  systemClock,
} from '../../runtime/index.ts';
import { findRun, type RunRecord } from '../run/run-directory.ts';
import { describeServers, type NatsFlags, parseNatsFlags } from '../server/nats-address.ts';

/** Options of a command that looks at what is running. */
export interface ObservationFlags extends NatsFlags {
  readonly run?: string;
  readonly namespace?: string;
}

/** A look at the nodes of a server, or at a run on this machine; disposing ends it. */
export interface Observation extends AsyncDisposable {
  readonly observer: Observer;
  /** For people: where one looks. */
  readonly place: string;
}

const connectTimeoutMs = 5000;
const defaultNamespace = 'default';

/**
 * `--nats` looks at a server, `--run` at the bus of a run; without either it is the newest run below `runs/` that
 * is going on.
 * @throws UserInputError when there is nothing to look at, BusUnavailableError
 */
export async function observeBus(flags: ObservationFlags, cwd: string): Promise<Observation> {
  const nats = parseNatsFlags(flags);
  if (nats !== undefined && flags.run === undefined) {
    const namespace = flags.namespace ?? defaultNamespace;
    const place = `namespace ${namespace} at ${describeServers(nats)}`;
    return observe(await connectNatsBus(nats), namespace, place);
  }
  const { path, record } =
    flags.run === undefined ? await newestRun(cwd) : await findRun(flags.run, cwd);
  return await observeRun(path, record, flags);
}

async function observeRun(
  path: string,
  { bus, state }: RunRecord,
  flags: ObservationFlags,
): Promise<Observation> {
  if (state !== 'running') {
    throw new UserInputError(`The run in ${path} is not going on: it is ${state}.`);
  }
  const namespace = bus.namespace ?? defaultNamespace;
  const place = `the run in ${path}`;
  if (bus.kind === 'nats') {
    const nats = parseNatsFlags({
      ...(bus.servers !== undefined && { nats: bus.servers }),
      ...flags,
    });
    if (nats === undefined) throw new UserInputError('run.json names no server; give --nats.');
    return observe(await connectNatsBus(nats), namespace, place);
  }
  const { socketPath } = bus;
  if (socketPath === undefined) {
    throw new UserInputError(`The run in ${path} is only starting, or was not started here.`);
  }
  try {
    const timeoutMs = connectTimeoutMs;
    return observe(await connectLocalBus({ socketPath, timeoutMs }), namespace, place);
  } catch (cause) {
    if (!(cause instanceof BusUnavailableError)) throw cause;
    throw new BusUnavailableError(
      `The run in ${path} does not answer: it was killed, or runs on another machine or as ` +
        'another user. actorctl resume goes on with one that was killed.',
      { cause },
    );
  }
}

/** @throws UserInputError when none is going on. */
async function newestRun(cwd: string): Promise<{ path: string; record: RunRecord }> {
  const parent = resolve(cwd, 'runs');
  const names = await readdir(parent).catch(() => []);
  const found = await Promise.all(
    names.map((name) => findRun(join(parent, name), cwd).catch(() => undefined)),
  );
  const going = found.filter((run) => run?.record.state === 'running').map((run) => run!);
  going.sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
  if (going[0] !== undefined) return going[0];
  throw new UserInputError(
    'Where? No run is going on below runs/. Give --nats URL to look at the nodes of a server, or ' +
      '--run DIR to look at a run on this machine.',
  );
}

function observe(bus: Bus, namespace: string, place: string): Observation {
  const observer = createObserver({ bus, namespace, clock: systemClock });
  return {
    observer,
    place,
    async [Symbol.asyncDispose]() {
      observer.close();
      await bus.close();
    },
  };
}
