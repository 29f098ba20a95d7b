import type { Bus } from './bus/bus.ts';
import { startLocalHub } from './bus/local-hub.ts';
import { createMemoryBus } from './bus/memory-bus.ts';
import type { NatsOptions } from './bus/nats-options.ts';
import { ActorChild, type StartProcess } from './nodes/actor-child.ts';
import { type BusAccess, connectBus } from './nodes/process-boot.ts';
import { serveRegister } from './registry/bus-register.ts';
import { createMemoryRegister } from './registry/memory-register.ts';
import { openNatsCheckpoints, openNatsRegister } from './registry/open-register.ts';
import type { Register } from './registry/register.ts';
import type { ReplicatedCheckpoints } from './registry/replicated-checkpoints.ts';

/** A cluster that has just started or lost a server elects a leader of its own and then one of the bucket within that. */
const REGISTER_WAIT = { timeoutMs: 30_000 };

export type BusChoice = 'memory' | 'local' | { readonly nats: NatsOptions } | ConnectedBus;

export interface ConnectedBus {
  readonly connected: Bus;
  /** Makes processes for actors; without it all actors live inline. */
  readonly startProcess?: StartProcess;
  /**
   * What the systems of this bus agree on. Default: that of the servers of a NATS bus; on another
   * bus one of this system alone.
   */
  readonly register?: Register;
  /** Where detached actors' states outlive this process; default in the servers of a NATS bus. */
  readonly replicated?: ReplicatedCheckpoints;
  /** Of a namespace with more other nodes this one watches only a part. Default 100. */
  readonly watchedNodesMax?: number;
}

/** What a system has of its bus: the bus itself, what is agreed on there and how processes join it. */
export interface Connection {
  readonly bus: Bus;
  readonly register: Register;
  readonly replicated?: ReplicatedCheckpoints | undefined;
  readonly startProcess: StartProcess | undefined;
  readonly shared: boolean;
  readonly watchedNodesMax?: number | undefined;
  /** What carries objects within this host, where that is not the bus itself. */
  readonly hub?: Bus;
  /** Of this node's hub, by which processes of this host find it. */
  readonly hubPath?: string;
  /** Of a local bus. */
  readonly socketPath?: string;
  close(): Promise<void>;
}

/** @throws BusUnavailableError for a server that is not there, refuses us, or has no JetStream. */
export async function connectSystem(
  bus: BusChoice,
  nodeId: string,
  namespace: string,
): Promise<Connection> {
  if (bus === 'memory') {
    const memory = createMemoryBus();
    return {
      bus: memory,
      register: createMemoryRegister(),
      startProcess: undefined,
      shared: false,
      close: () => memory.close(),
    };
  }
  if (bus === 'local') return connectLocally(namespace);
  if ('connected' in bus) {
    const { connected, startProcess, register } = bus;
    if (register !== undefined || connected.kind !== 'nats') {
      return {
        bus: connected,
        register: register ?? createMemoryRegister(),
        replicated: bus.replicated,
        startProcess,
        shared: true,
        watchedNodesMax: bus.watchedNodesMax,
        close: () => connected.close(),
      };
    }
    return connectRegistered(connected, startProcess, namespace);
  }
  const hub = await startLocalHub();
  try {
    const access = { kind: 'nats', options: bus.nats, hubPath: hub.socketPath } as const;
    const home = { bus: hub.connect(), socketPath: hub.socketPath };
    const nats = await connectBus(access, `node-${nodeId}`, home);
    const connection = await connectRegistered(nats, childStarter(access), namespace);
    const close = () => connection.close().finally(() => hub.close());
    return { ...connection, hub: home.bus, hubPath: hub.socketPath, close };
  } catch (error) {
    await hub.close();
    throw error;
  }
}

async function connectRegistered(
  bus: Bus,
  startProcess: StartProcess | undefined,
  namespace: string,
): Promise<Connection> {
  try {
    const register = await openNatsRegister(bus, namespace, REGISTER_WAIT);
    const replicated = await openNatsCheckpoints(bus, namespace, register, REGISTER_WAIT);
    const close = async (): Promise<void> => {
      await register.close();
      await bus.close();
    };
    return { bus, register, replicated, startProcess, shared: true, close };
  } catch (error) {
    await bus.close();
    throw error;
  }
}

async function connectLocally(namespace: string): Promise<Connection> {
  const hub = await startLocalHub();
  const { socketPath } = hub;
  const bus = hub.connect();
  const register = createMemoryRegister();
  await serveRegister({ bus, namespace }, register);
  const startProcess = childStarter({ kind: 'local', socketPath });
  return {
    bus,
    register,
    startProcess,
    shared: false,
    socketPath,
    hubPath: socketPath,
    close: () => hub.close(),
  };
}

function childStarter(access: BusAccess): StartProcess {
  return (order) => new ActorChild({ ...order, access });
}
