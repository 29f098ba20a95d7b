import type { Bus } from '../bus/bus.ts';
import type { ReplicaState } from './jetstream.ts';
import type { Register, RegisterWait } from './register.ts';
import {
  createReplicatedCheckpoints,
  type ReplicatedCheckpoints,
} from './replicated-checkpoints.ts';

/**
 * Opens the register that the servers of a NATS bus keep; see `nats-register.ts`. The JetStream client
 * is loaded only here: who uses no server never needs it.
 * @throws BusUnavailableError when the server has no JetStream.
 */
export async function openNatsRegister(
  bus: Bus,
  namespace: string,
  wait: RegisterWait,
): Promise<Register> {
  const { openNatsRegister: open } = await import('./nats-register.ts');
  return open(bus, namespace, wait);
}

/** The states of actors that outlive their node, in the servers of a NATS bus. */
export async function openNatsCheckpoints(
  bus: Bus,
  namespace: string,
  register: Register,
  wait: RegisterWait,
): Promise<ReplicatedCheckpoints> {
  const { openJetStreamChunks } = await import('./jetstream-chunks.ts');
  return createReplicatedCheckpoints(register, await openJetStreamChunks(bus, namespace, wait));
}

/** Makes the replicas that are missing of what codistill keeps in the servers of a NATS bus; says how all are. */
export async function replicateStreams(
  bus: Bus,
  { timeoutMs }: RegisterWait,
): Promise<ReplicaState> {
  const { openJetStream, replicateStreams: replicate } = await import('./jetstream.ts');
  const { natsConnectionOf } = await import('../bus/nats-bus.ts');
  return replicate(await openJetStream(natsConnectionOf(bus), timeoutMs));
}
