import * as v from 'valibot';
import { DamagedDataError } from '../../errors.ts';
import type { Bus } from '../bus/bus.ts';
import { connectNatsBus } from '../bus/connect-nats.ts';
import { connectLocalBus } from '../bus/local-bus.ts';
import type { NatsOptions } from '../bus/nats-options.ts';
import type { HomeHub } from '../bus/neighbours.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/** How a child process reaches the bus of its node. */
export type BusAccess =
  | { readonly kind: 'local'; readonly socketPath: string }
  | {
      readonly kind: 'nats';
      readonly options: NatsOptions;
      /** Of the node's hub, which carries large values within the host. */
      readonly hubPath?: string;
    };

/** The first line on a child process's standard input, as JSON. May hold credentials. */
export interface ProcessBoot {
  readonly bus: BusAccess;
  readonly namespace: string;
  readonly nodeId: string;
  readonly processId: string;
  /** By which its node knows that it is this process that says it is ready. */
  readonly secret: string;
  /** The only modules that the process imports actors from. */
  readonly modules: readonly string[];
}

/** @throws DamagedDataError */
export function parseProcessBoot(line: string): ProcessBoot {
  const parsed = v.safeParse(bootSchema, JSON.parse(line));
  if (parsed.success) return parsed.output as ProcessBoot;
  throw new DamagedDataError(
    `expected a boot message on standard input (${parsed.issues[0].message}); ` +
      'this program is started by a node, not by hand',
  );
}

/**
 * A later line: until when the actor may act, on the clock that all processes of a host share. A
 * duration would begin anew when a paused process reads it.
 */
export function encodeLeaseTick(remainingMs: number): string {
  return JSON.stringify({ leaseUntilMs: hostNow() + remainingMs });
}

/** How long the actor may still act; negative for a line that was read too late. */
export function readLeaseTick(line: string): number {
  return v.parse(leaseTickSchema, JSON.parse(line)).leaseUntilMs - hostNow();
}

function hostNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const leaseTickSchema = v.object({ leaseUntilMs: v.number() });

/** @throws BusUnavailableError */
export function connectBus(access: BusAccess, name: string, home?: HomeHub): Promise<Bus> {
  const timeoutMs = CONNECT_TIMEOUT_MS;
  if (access.kind === 'local') {
    return connectLocalBus({ socketPath: access.socketPath, timeoutMs });
  }
  return connectNatsBus({ ...access.options, name }, home);
}

/** The node's hub, where that is not the bus itself. @throws BusUnavailableError */
export async function connectHub({ bus }: ProcessBoot): Promise<HomeHub | undefined> {
  if (bus.kind === 'local' || bus.hubPath === undefined) return undefined;
  const { hubPath: socketPath } = bus;
  return { bus: await connectLocalBus({ socketPath, timeoutMs: CONNECT_TIMEOUT_MS }), socketPath };
}

const bootSchema = v.object({
  bus: v.variant('kind', [
    v.object({ kind: v.literal('local'), socketPath: v.string() }),
    v.object({
      kind: v.literal('nats'),
      options: v.looseObject({}),
      hubPath: v.exactOptional(v.string()),
    }),
  ]),
  namespace: v.string(),
  nodeId: v.string(),
  processId: v.string(),
  secret: v.string(),
  modules: v.array(v.string()),
});
