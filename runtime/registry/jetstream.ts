import { setTimeout as delay } from 'node:timers/promises';
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { errors as natsErrors } from '@nats-io/nats-core';
import {
  BusClosedError,
  BusUnavailableError,
  CodistillError,
  DeadlineError,
} from '../../errors.ts';
import { refusedError } from '../bus/bus-errors.ts';

/** A lost request is sent again after this; a stream without a leader answers again after 4 to 7 s. */
const ATTEMPT_MS = 2_000;
const PAUSE_MS = 150;
/** What a cluster should keep of each stream: one server may be lost. */
const REPLICAS = 3;
const OWN_STREAM = /^(KV_)?codistill/;
const STREAM_NOT_FOUND = 10059;
/** Not a cluster, or one with too few servers for so many replicas. */
const TOO_FEW_SERVERS: readonly number[] = [10005, 10074];
const OTHER_CONFIGURATION = 10058;
/** An earlier attempt of ours waits for the other servers; when they have it, the next is told so. */
const SAME_IN_PROCESS = 10158;

/** JetStream over a bus's own connection, with every request repeated until its deadline. */
export interface JetStream {
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly connection: NatsConnection;
}

/** @throws BusUnavailableError when the server keeps no streams, saying which flag it wants. */
export async function openJetStream(
  connection: NatsConnection,
  timeoutMs: number,
): Promise<JetStream> {
  const options = { timeout: Math.min(timeoutMs, ATTEMPT_MS) };
  const manager = await jetstreamManager(connection, { ...options, checkAPI: false });
  try {
    await repeatUntil(timeoutMs, 'JetStream', async () => {
      try {
        await manager.getAccountInfo();
      } catch (cause) {
        // In a cluster that has just started it may only want a leader yet.
        if (connection.info?.jetstream === true || !isDisabled(cause)) throw cause;
        throw new BusUnavailableError(
          'The NATS server runs without JetStream, where names and ownership are kept: start it ' +
            'with "nats-server -js", or enable JetStream for this account.',
          { cause },
        );
      }
    });
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new BusUnavailableError(error.message, { cause: error });
  }
  return { client: jetstream(connection, options), manager, connection };
}

/**
 * The stream, made if it is not there, with three replicas where the servers are enough: a cluster
 * that has grown since gets them now.
 */
export async function ensureStream(
  { manager, connection }: JetStream,
  config: Partial<StreamConfig> & { readonly name: string },
  timeoutMs: number,
): Promise<void> {
  const replicas = connection.info?.cluster === undefined ? 1 : REPLICAS;
  const what = `stream ${config.name}`;
  const wanted = { ...config, num_replicas: replicas };
  const info = await repeatUntil(timeoutMs, what, async () => {
    const known = await manager.streams.info(config.name).catch(onlyCodes([STREAM_NOT_FOUND]));
    return known ?? addStream(manager, wanted);
  });
  if (info.config.num_replicas < replicas) await addReplicas(manager, config.name);
}

/** Streams as their servers have them. */
export interface ReplicaState {
  /** Each of codistill has its three replicas, as up to date as their leaders. */
  readonly areWhole: boolean;
  /** Servers without which some stream would be lost. */
  readonly onlyAt: readonly string[];
  /** Those with a replica. */
  readonly servers: readonly string[];
}

/**
 * Gives all streams of codistill in a cluster their three replicas: who opened them may have come before JetStream
 * knew of enough servers.
 */
export async function replicateStreams({ manager }: JetStream): Promise<ReplicaState> {
  let areWhole = true;
  const onlyAt = new Set<string>();
  const servers = new Set<string>();
  for await (const name of manager.streams.names()) {
    const { config, cluster } = await manager.streams.info(name);
    const replicas = cluster?.replicas ?? [];
    const leader = cluster?.leader ?? '';
    for (const server of [leader, ...replicas.map((each) => each.name)]) servers.add(server);
    const followers = replicas.filter(({ current }) => current);
    if (followers.length === 0) onlyAt.add(leader);
    if (!OWN_STREAM.test(name)) continue;
    if (config.num_replicas < REPLICAS) await addReplicas(manager, name);
    areWhole &&= followers.length >= REPLICAS - 1;
  }
  return { areWhole, onlyAt: [...onlyAt], servers: [...servers] };
}

/** Nothing where the servers are too few. */
async function addReplicas(manager: JetStreamManager, stream: string): Promise<void> {
  await manager.streams
    .update(stream, { num_replicas: REPLICAS })
    .catch(onlyCodes(TOO_FEW_SERVERS));
}

async function addStream(
  manager: JetStreamManager,
  config: Partial<StreamConfig> & { readonly name: string },
): Promise<StreamInfo> {
  const made = await manager.streams
    .add(config)
    .catch(onlyCodes([...TOO_FEW_SERVERS, OTHER_CONFIGURATION]));
  if (made !== undefined) return made;
  const single = { ...config, num_replicas: 1 };
  const again = await manager.streams.add(single).catch(onlyCodes([OTHER_CONFIGURATION]));
  // Somebody else made it meanwhile.
  return again ?? manager.streams.info(config.name);
}

function onlyCodes(codes: readonly number[]): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof JetStreamApiError && codes.includes(error.code)) return undefined;
    throw error;
  };
}

/**
 * Runs `attempt` until it succeeds, as long as it fails for want of an answer or of a leader.
 * @throws DeadlineError with the last failure as its cause, or another failure at once.
 */
export async function repeatUntil<T>(
  timeoutMs: number,
  what: string,
  attempt: () => Promise<T>,
): Promise<T> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown;
    // The client's own time-outs may be longer than what is left of ours.
    const timer = new AbortController();
    const leftMs = Math.max(1, giveUpAt - performance.now());
    const late = delay(leftMs, undefined, { signal: timer.signal }).then(
      () => Promise.reject(new natsErrors.TimeoutError()),
      () => new Promise<never>(() => {}),
    );
    try {
      return await Promise.race([attempt(), late]);
    } catch (error) {
      failure = error;
    } finally {
      timer.abort();
    }
    if (failure instanceof natsErrors.ClosedConnectionError) {
      throw new BusClosedError(`${what} can't be reached: the connection is closed`);
    }
    const refusal = failure instanceof natsErrors.RequestError ? failure.cause : failure;
    if (refusal instanceof natsErrors.PermissionViolationError) {
      throw refusedError(refusal.operation, refusal.subject);
    }
    if (!isPassing(failure)) throw failure;
    if (performance.now() + PAUSE_MS >= giveUpAt) {
      const { message } = failure;
      const text = `${what} did not answer within ${timeoutMs} ms (last: ${message})`;
      throw new DeadlineError(text, { cause: failure });
    }
    await delay(PAUSE_MS);
  }
}

/** The client doesn't export the class; of a server's answer it has the code 10039. */
function isDisabled(error: unknown): error is Error {
  return error instanceof Error && error.name === 'JetStreamNotEnabled';
}

/** Lost, or refused because no leader was elected yet, or the server is going. */
function isPassing(error: unknown): error is Error {
  if (!(error instanceof Error) || error instanceof CodistillError) return false;
  if (error instanceof JetStreamApiError) {
    return error.status >= 500 || error.code === SAME_IN_PROCESS;
  }
  if (error instanceof TypeError || error instanceof RangeError) return false;
  return true;
}

/** A message was to follow another one of its subject that is no longer the last. */
export function isConflict(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  const { StreamWrongLastSequence, StreamWrongLastSequenceUnknown } = JetStreamApiCodes;
  const codes: readonly number[] = [StreamWrongLastSequence, StreamWrongLastSequenceUnknown];
  return codes.includes(error.code);
}
