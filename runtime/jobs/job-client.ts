import { BusUnavailableError, DeadlineError, UserInputError } from '../../errors.ts';
import { connectNatsBus } from '../bus/connect-nats.ts';
import type { NatsOptions } from '../bus/nats-options.ts';
import { requestControl } from '../calls/control.ts';
import { type Endpoint, watchLink } from '../calls/endpoint.ts';
import { delay, systemClock } from '../clock.ts';
import { plantDetached, supervisorOf } from '../nodes/name-record.ts';
import { planSpawn } from '../nodes/spawn-options.ts';
import { createObserver } from '../observe/observer.ts';
import { openNatsRegister } from '../registry/open-register.ts';
import type { Register } from '../registry/register.ts';
import { detachedOwner, subjects } from '../wire/address.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { EventStore } from './event-store.ts';
import { controllerName, jobController, jobLabel } from './job-controller.ts';
import { createJobLog, type LoggedEvent } from './job-log.ts';
import {
  changeJobRecord,
  createJobRecord,
  type JobRecord,
  listJobRecords,
  readJobRecord,
} from './job-record.ts';

const WAIT = { timeoutMs: 15_000 };
const LOOK_MS = 200;
/** A node takes up a new job in well under a second. */
const START_MS = 20_000;
/** A job drains for ten seconds; a new life of its controller may have to be waited for. */
const STOP_MS = 40_000;
const AWAY_MS = 300_000;
const AWAY =
  "The register of jobs does not answer: of the cluster's servers, most have to be there. A job goes on when they " +
  'are back; actorctl doctor names those that are away.';
const RESTARTS_MAX = 10;
/** A busy node that answers late must not count as none. */
const NODES_MS = 10_000;

/** Jobs that nodes run for themselves, as seen from outside. */
export interface JobClient {
  /**
   * Resolves when a node has taken up the job.
   * @throws UserInputError when no node has its module, or the id was used before.
   */
  submit(job: {
    readonly id: string;
    readonly job: string;
    readonly options: Readonly<Record<string, unknown>>;
    /** Before the names of its actors; jobs of one scope share names. Default: the id. */
    readonly scope?: string | undefined;
  }): Promise<void>;
  list(): Promise<readonly JobRecord[]>;
  /** @throws UserInputError when there is no such job. */
  status(id: string): Promise<JobRecord>;
  /**
   * Resolves with the job when it is over, or rejects with the signal's reason. Servers may be away meanwhile, which
   * `onAway` is told once each time. @throws BusUnavailableError when they are away for five minutes.
   */
  waitForEnd(
    id: string,
    signal: AbortSignal,
    onAway?: (message: string) => void,
  ): Promise<JobRecord>;
  events(
    id: string,
    options: { readonly follow: boolean; readonly signal: AbortSignal },
  ): AsyncIterable<LoggedEvent>;
  /** Lets the job drain and save, then ends it. @throws DeadlineError */
  stop(id: string): Promise<JobRecord>;
  close(): Promise<void>;
}

/** The JetStream client is loaded only here. @throws BusUnavailableError */
export async function openJobClient(nats: NatsOptions, namespace: string): Promise<JobClient> {
  const { openJetStreamEvents } = await import('./jetstream-events.ts');
  const bus = await connectNatsBus(nats);
  const register = await openNatsRegister(bus, namespace, WAIT);
  const clock = systemClock;
  const link = watchLink(bus, clock);
  const endpoint: Endpoint = { bus, clock, namespace, nodeId: 'job-client', link };
  const events = await openJetStreamEvents(bus, namespace, WAIT);
  const client = createJobClient({ endpoint, register, events, date: () => Date.now() });
  const close = async (): Promise<void> => {
    await client.close();
    link.close();
    await bus.close();
  };
  return { ...client, close };
}

export interface JobClientParts {
  readonly endpoint: Endpoint;
  /** Closed with the client. */
  readonly register: Register;
  readonly events: EventStore;
  /** Milliseconds since 1970. */
  date(): number;
}

/** Over a bus and stores that are open already. */
export function createJobClient({ endpoint, register, events, date }: JobClientParts): JobClient {
  const { clock, namespace } = endpoint;
  const log = createJobLog(events);
  /** The node looks for what is to be adopted. */
  const nudge = async (nodeId: string): Promise<void> => {
    const subject = subjects.node(namespace, nodeId);
    const parcel = { bytes: encodeMessage({ kind: 'look' }) };
    await requestControl(endpoint, subject, 'done', parcel, { timeoutMs: START_MS });
  };

  const nodesWith = async (job: string): Promise<readonly string[]> => {
    const observer = createObserver(endpoint);
    const looking = observer.inspect({ timeoutMs: NODES_MS });
    const { nodes } = await looking.finally(() => observer.close());
    const able = nodes.filter(
      ({ labels, actorTypes }) =>
        labels[jobLabel(job)] === 'yes' && actorTypes.includes(jobController.type),
    );
    if (able.length > 0) return able.map(({ nodeId }) => nodeId);
    const names = nodes.map(({ nodeName }) => nodeName).join(', ') || 'none';
    throw new UserInputError(
      `No node has the job ${job}. Start one with its file: actorctl node --module FILE. ` +
        `There are: ${names}.`,
    );
  };

  const status = async (id: string): Promise<JobRecord> => {
    const record = await readJobRecord(register, id);
    if (record === undefined) throw new UserInputError(`There is no job ${id}; see actorctl jobs.`);
    if (record.state !== 'running') return record;
    if ((await supervisorOf(register, controllerName(id))) !== undefined) return record;
    // Its controller died too often, and could not say so itself.
    const message = 'its controller died, more often than it is restarted';
    const over = { state: 'failed', error: { message } } as const;
    return (await changeJobRecord(register, id, (known) => ({ ...known, ...over }))) ?? status(id);
  };

  const waitForEnd = async (
    id: string,
    signal: AbortSignal,
    onAway?: (message: string) => void,
  ): Promise<JobRecord> => {
    let awaySince: number | undefined;
    for (;;) {
      try {
        const record = await status(id);
        if (record.state !== 'running') return record;
        awaySince = undefined;
      } catch (error) {
        if (!(error instanceof DeadlineError)) throw error;
        if (awaySince === undefined) onAway?.(AWAY);
        awaySince ??= clock.now();
        if (clock.now() - awaySince > AWAY_MS)
          throw new BusUnavailableError(AWAY, { cause: error });
      }
      await delay(clock, LOOK_MS, signal);
    }
  };

  return {
    async submit({ id, job, options, scope = id }) {
      if (!/^[^/]+$/.test(scope)) {
        throw new UserInputError(
          `A job's name and scope are before those of its actors and have no slash, got "${scope}".`,
        );
      }
      if ((await readJobRecord(register, id)) !== undefined) {
        throw new UserInputError(`There was a job ${id} already; choose another --name.`);
      }
      const able = await nodesWith(job);
      const record = {
        id,
        job,
        options,
        state: 'running',
        submittedAt: date(),
        lives: 0,
      } as const;
      const name = controllerName(id);
      const placement = { requiredLabels: { [jobLabel(job)]: 'yes' } };
      const wishes = { name, lifetime: 'detached', placement, maxRestarts: RESTARTS_MAX } as const;
      const plan = { ...planSpawn(wishes, name, 'process'), vouches: true };
      const methods = { stop: 'call' } as const;
      const address = { name, type: jobController.type, owner: detachedOwner(name), methods };
      // The actor is there before the record: a job without one counts as failed.
      if (!(await plantDetached(register, address, plan, { id, job, options, scope }))) {
        throw new UserInputError(`There is a job ${id} already; choose another --name.`);
      }
      await createJobRecord(register, record);
      // One of them is enough, and all look by themselves once a minute.
      for (const nodeId of able) nudge(nodeId).catch(() => {});
      const giveUpAt = clock.now() + START_MS;
      while ((await supervisorOf(register, name)) === '') {
        if (clock.now() > giveUpAt) {
          throw new DeadlineError(`no node has taken up job ${id} within ${START_MS / 1000} s`);
        }
        await delay(clock, LOOK_MS);
      }
    },
    list: () => listJobRecords(register),
    status,
    waitForEnd,
    events: (id, options) => log.read(id, options),
    async stop(id) {
      const record = await status(id);
      if (record.state !== 'running') return record;
      await changeJobRecord(register, id, (known) => ({ ...known, stopAsked: true }));
      const late = new AbortController();
      const timer = clock.setTimeout(() => {
        const text = `job ${id} was asked to stop, and has not ended within ${STOP_MS / 1000} s; see actorctl status`;
        late.abort(new DeadlineError(text));
      }, STOP_MS);
      return await waitForEnd(id, late.signal).finally(() => timer.cancel());
    },
    close: () => register.close(),
  };
}
