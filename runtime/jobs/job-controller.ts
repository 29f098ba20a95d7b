import { UnknownActorTypeError } from '../../errors.ts';
import { type ActorContext, type ActorDefinition, defineActor } from '../actor.ts';
import { delay } from '../clock.ts';
import type { JobEvent } from '../job.ts';
import type { LogEntry } from '../nodes/host-node.ts';
import { toWireError } from '../wire/wire-error.ts';
import type { JobProcess } from './job-process.ts';
import { beginJobLife, changeJobRecord, type JobRecord, watchJobRecord } from './job-record.ts';

/** A job that is asked to stop has so long to drain and save. */
const STOP_MS = 10_000;
/** So long when its node leaves, before its actors are drained without it. */
const MOVE_MS = 2_000;

export interface JobControllerOptions {
  readonly id: string;
  readonly job: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Of the names of its actors. */
  readonly scope: string;
}

/** The name of the actor that runs a job. */
export function controllerName(id: string): string {
  return `job-${id}`;
}

/** The label of nodes that were started with the job's module; its value is `yes`. */
export function jobLabel(job: string): string {
  return `job.${job}`;
}

type Outcome = Pick<JobRecord, 'state' | 'error'>;

/** Runs a job in a process of its own, with a system of that process; a later life resumes it. */
class JobController {
  readonly #context: ActorContext;
  readonly #options: JobControllerOptions;
  readonly #stopping = new AbortController();
  readonly #startedAt: number;
  /** A later life runs the job; only that one says how it is. */
  #replaced = false;
  /** Its node leaves: the next life goes on from what this one saves. */
  #moving = false;
  readonly #controlled: Promise<void>;

  constructor(context: ActorContext, options: JobControllerOptions) {
    this.#context = context;
    this.#options = options;
    this.#startedAt = context.clock.now();
    this.#controlled = this.#control();
    // A failure here is one of the runtime: the next life tries again.
    this.#controlled.catch((error: unknown) => {
      queueMicrotask(() => {
        throw error;
      });
    });
  }

  /** Asks the job to drain, to save and to return. */
  stop(): void {
    this.#stopping.abort(new Error('the job was stopped'));
  }

  /** The node leaves: the job drains and saves, as do its actors, and the next life resumes it. */
  async drain(): Promise<void> {
    // One that was asked to stop only has to be let.
    if (!this.#stopping.signal.aborted) {
      this.#moving = true;
      this.#stopping.abort(
        new Error('the node of the job leaves, and another one goes on with it'),
      );
    }
    await this.#controlled;
  }

  async #control(): Promise<void> {
    const { openJob, epoch, name, nodeId, clock } = this.#context;
    const { id, job, options, scope } = this.#options;
    if (openJob === undefined) throw new TypeError('a job needs a process of its own');
    const early: LogEntry[] = [];
    let onLog = (entry: LogEntry): void => void early.push(entry);
    const opened = await openJob({
      id,
      scope,
      controller: name,
      epoch,
      ownModule: import.meta.url,
      isReplaced: () => this.#replaced,
      onLog: (entry) => onLog(entry),
    });
    const emit = (event: JobEvent): void => {
      opened.log.append(id, { ...event, atMs: Math.round(this.#now()) });
    };
    onLog = ({ level, message, actor }) => {
      if (level === 'info') return;
      emit({ type: level, message, ...(actor !== undefined && { actor }) });
    };
    for (const entry of early) onLog(entry);
    opened.system.onActorEvent((event) => {
      // An actor that is ended when its state is saved only moves.
      const moves = this.#moving && event.cause?.kind === 'stopped';
      emit({
        type: 'actor',
        ...event,
        ...nameOf(opened, event.node),
        ...(moves && { event: 'drained' }),
      });
    });
    const begun = await beginJobLife(opened.register, id, { epoch, clock });
    if (begun === 'over') return await opened.end();
    this.#replaced = begun === 'replaced';
    if (this.#replaced) return await opened.leave();
    await watchJobRecord(opened.register, id, ({ stopAsked, lives }) => {
      if (stopAsked) this.stop();
      if (lives <= epoch || this.#replaced) return;
      this.#replaced = true;
      void opened.leave();
    });
    const resumed = epoch > 1;
    emit({ type: 'run', job, resumed, options, node: nodeId, ...nameOf(opened, nodeId) });
    const outcome = await this.#run(opened, emit);
    if (this.#moving) {
      await opened.handOver();
      emit({
        type: 'moved',
        message: 'its node leaves; another one goes on with the job',
      });
      return await opened.log.flush();
    }
    await opened.log.flush();
    const ended =
      (await opened.mayAct()) &&
      (await changeJobRecord(opened.register, id, (record) =>
        record.lives === epoch ? { ...record, ...outcome, endedAt: opened.date() } : undefined,
      ));
    await (ended ? opened.end() : opened.leave());
  }

  async #run(opened: JobProcess, emit: (event: JobEvent) => void): Promise<Outcome> {
    const { epoch, clock } = this.#context;
    const { job: name, options } = this.#options;
    const { signal } = this.#stopping;
    if (signal.aborted) return { state: 'stopped' };
    await using folder = await opened.createFolder();
    const late = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        void delay(clock, this.#moving ? MOVE_MS : STOP_MS).then(resolve);
      });
    });
    try {
      const job = await opened.findJob(name);
      if (job === undefined) {
        throw new UnknownActorTypeError(
          `this node was started without a module of the job ${name}`,
        );
      }
      const running = job.run({
        system: opened.system,
        options: options as never,
        runDirectory: folder.path,
        resumed: epoch > 1,
        signal,
        emit,
        clock,
        now: () => this.#now(),
      });
      await Promise.race([running, late]);
      return { state: signal.aborted ? 'stopped' : 'finished' };
    } catch (error) {
      if (signal.aborted) return { state: 'stopped' };
      const { code, message } = toWireError(error);
      const known = { message, ...(code !== undefined && { code }) };
      emit({ type: 'error', ...known });
      return { state: 'failed', error: known };
    }
  }

  #now(): number {
    return this.#context.clock.now() - this.#startedAt;
  }
}

/** A node's name, for people, where it is known. */
function nameOf({ system }: JobProcess, node: string): { readonly nodeName?: string } {
  const { nodeName } = system.nodes().find(({ nodeId }) => nodeId === node) ?? {};
  return nodeName === undefined ? {} : { nodeName };
}

export const jobController: ActorDefinition<JobControllerOptions, JobController> = defineActor({
  type: 'codistill/job',
  module: import.meta.url,
  methods: { stop: 'call' },
  create: (context: ActorContext, options: JobControllerOptions) =>
    new JobController(context, options),
});
