import { CodistillError } from '../../errors.ts';
import {
  createFileCheckpointStore,
  createSystem,
  type Job,
  type JobEvent,
  type MetricsOptions,
  type NatsOptions,
  type System,
  startMetricsServer,
  systemClock,
} from '../../runtime/index.ts';
import { type ExitCode, exitCodeFor, exitCodes } from '../exit-codes.ts';
import {
  Interruption,
  type InterruptionWatch,
  watchBus,
  watchInterruptions,
} from '../interruption.ts';
import { type EventLog, openEventLog, readEventLog } from '../observation/event-log.ts';
import { recogniseEvent } from '../observation/event-shapes.ts';
import type { CommandEnvironment, Output } from '../output/output.ts';
import { writeReport } from '../report/report.ts';
import { tellMetrics } from './metrics-option.ts';
import { RunCurves } from './run-curves.ts';
import type { RunDirectory } from './run-directory.ts';
import { Timeline } from './timeline.ts';
import { registerTrainingMetrics, type TrainingMetrics } from './training-metrics.ts';

/** All that one session of a run needs; a resumed run is a second session in the same directory. */
export interface JobRun {
  readonly job: Job;
  /** Checked, with defaults filled in. */
  readonly options: Record<string, unknown>;
  readonly directory: RunDirectory;
  readonly resumed: boolean;
  readonly nats: NatsOptions | undefined;
  readonly namespace: string | undefined;
  /** Nodes, this one included, that must have joined before the job starts. */
  readonly waitNodes: number;
  /** How long the bus may stay away in mid-run. */
  readonly busTimeoutMs: number;
  /** Where to serve metrics, if at all. */
  readonly metrics: MetricsOptions | undefined;
  /** The file to write a timeline of this session to, if any; absolute. */
  readonly timeline: string | undefined;
  readonly output: Output;
  readonly environment: CommandEnvironment;
}

/** What a session leaves behind besides its run directory. */
interface Session {
  readonly curves: RunCurves;
  readonly log: EventLog;
  metrics?: TrainingMetrics;
  readonly timeline: Timeline | undefined;
  result?: JobEvent;
  /** The outcome is being told: what a closed system still finds out about a bus that is gone adds nothing. */
  over?: true;
}

/** A job has this long to drain and checkpoint; then the session ends without it. */
const drainMs = 5000;
const closeMs = 5000;
const waitNodesMs = 120_000;

/**
 * Runs a job to its end, its failure or its interruption. Never throws what the job threw: that is printed,
 * and the exit code says its kind. The result event is the last one, sent after the report is written.
 */
export async function runJob(run: JobRun): Promise<ExitCode> {
  const { directory, output, environment } = run;
  const curves = new RunCurves();
  if (run.resumed)
    for await (const event of readEventLog(directory.events)) take({ curves }, event);
  using log = openEventLog(directory.events, (error) =>
    output.message(`warning: ${directory.events} can't be written (${error.message}).`),
  );
  const timeline = run.timeline === undefined ? undefined : new Timeline();
  const session: Session = { curves, log, timeline };
  using watch = watchInterruptions({
    stdout: environment.stdout,
    onFirst: () =>
      output.message('Stopping: the job drains and checkpoints. Again ends it at once.'),
    onSecond: () => process.exit(exitCodes.interrupted),
  });
  directory.update({ state: 'running' });
  tellStart(run, session);
  let failure: unknown;
  try {
    await runInSystem(run, session, watch);
  } catch (error) {
    failure = error;
  }
  return await finish(run, session, failure, watch.signal);
}

async function runInSystem(run: JobRun, session: Session, watch: InterruptionWatch): Promise<void> {
  const { job, options, directory, resumed, environment } = run;
  const system = await createSystem({
    bus: run.nats === undefined ? 'local' : { nats: run.nats },
    ...(run.namespace !== undefined && { namespace: run.namespace }),
    modules: job.modules,
    ...(session.timeline && { onCalls: (calls) => session.timeline?.addCalls(calls) }),
    log: ({ level, message, actor }) => {
      if (level === 'warning') send(run, session, { type: 'warning', message });
      else if (level === 'output') send(run, session, { type: 'output', actor, message });
    },
    checkpoints: createFileCheckpointStore(directory.checkpoints, {
      onWarning: (message) => send(run, session, { type: 'warning', message }),
    }),
  });
  using bus = watchBus({ timeoutMs: run.busTimeoutMs, onLost: (error) => watch.interrupt(error) });
  followSystem(run, session, { system, bus });
  session.timeline?.nameNodes(() => system.nodes());
  try {
    const { socketPath } = system;
    if (socketPath !== undefined)
      directory.update({ bus: { ...directory.record.bus, socketPath } });
    await using metrics = run.metrics && (await startMetricsServer(system, run.metrics));
    if (metrics) {
      session.metrics = await registerTrainingMetrics(metrics.registry);
      tellMetrics(run.output, metrics);
    }
    const { signal } = watch;
    if (run.waitNodes > 1) {
      await system.waitForNodes(run.waitNodes, { timeoutMs: waitNodesMs, signal });
    }
    const emit = (event: JobEvent) => send(run, session, event);
    const context = { system, options, runDirectory: directory.path, resumed, signal, emit };
    await settleSoonAfter(
      signal,
      job.run({ ...context, clock: systemClock, now: environment.now }),
    );
  } finally {
    await within(closeMs, system.close());
  }
}

/** Actors' lives and the bus's troubles become events of the run. */
function followSystem(
  run: JobRun,
  session: Session,
  followed: { readonly system: System; readonly bus: ReturnType<typeof watchBus> },
): void {
  const { system, bus } = followed;
  system.onActorEvent((event) => send(run, session, { type: 'actor', ...event }));
  system.onStatus((status) => {
    if (status.type === 'connected') {
      bus.found();
    } else if (status.type === 'disconnected') {
      bus.lost(status.reason);
      const message = `the bus is away (${status.reason}); the run goes on when it is back`;
      send(run, session, { type: 'warning', message });
    } else if (status.type === 'slow-consumer') {
      const { subject, droppedMessages } = status;
      const message = `a slow consumer of ${subject} lost ${droppedMessages} messages`;
      send(run, session, { type: 'warning', message });
    } else if (status.type === 'refused') {
      const message = `the server refused ${status.subject}: ${status.error.message}`;
      send(run, session, { type: 'warning', message });
    }
  });
}

/** Logs, collects and shows an event; the result waits until everything else is said. */
function send(run: JobRun, session: Session, event: JobEvent): void {
  if (session.over) return;
  const stamped = { ...event, atMs: Math.round(run.environment.now()) };
  if (event.type === 'result') {
    session.result = stamped;
    return;
  }
  session.log.append(stamped);
  take(session, stamped);
  session.timeline?.addEvent(stamped, stamped.atMs);
  run.output.event(stamped);
}

/** What the curves and the metrics are made of. */
function take({ curves, metrics }: Pick<Session, 'curves' | 'metrics'>, event: JobEvent): void {
  const known = recogniseEvent(event);
  if (known === undefined) return;
  curves.add(known);
  metrics?.(known);
}

async function finish(
  run: JobRun,
  session: Session,
  failure: unknown,
  signal: AbortSignal,
): Promise<ExitCode> {
  const { directory, output } = run;
  session.over = true;
  // A job that was asked to stop rejects with the reason, or returns early; one that came to its end
  // all the same has finished.
  const stopped =
    signal.aborted && (failure === undefined ? !session.result : isStop(failure, signal));
  const cause = stopped ? signal.reason : failure;
  const state = cause === undefined ? 'finished' : stopped ? 'interrupted' : 'failed';
  const result = cause === undefined ? session.result : undefined;
  const last = result && { ...result, run: directory.path, report: directory.report };
  if (last !== undefined) {
    session.log.append(last);
    take(session, last);
  }
  await recordOutcome(run, session, { state, result: last });
  if (last !== undefined) output.event(last);
  if (cause === undefined) {
    if (session.curves.hasSteps) output.message(`Report: ${directory.report}`);
    return exitCodes.ok;
  }
  const resume = `actorctl resume ${directory.path}`;
  if (cause instanceof Interruption) {
    const event = { type: 'interrupted', run: directory.path, resume };
    output.message(`Interrupted. To go on: ${resume}`, event);
    return exitCodes.interrupted;
  }
  output.error(cause);
  const from = directory.hasCheckpoints
    ? 'To go on from the last checkpoint'
    : 'Nothing was computed yet. To begin again with the same options';
  output.message(`${from}: ${resume}`);
  return exitCodeFor(cause);
}

/** A full disk must not hide what the run has to say, so trouble here is only told. */
async function recordOutcome(
  run: JobRun,
  session: Session,
  outcome: {
    readonly state: 'finished' | 'interrupted' | 'failed';
    readonly result?: JobEvent | undefined;
  },
): Promise<void> {
  const { directory, output } = run;
  const { state, result } = outcome;
  if (run.timeline !== undefined) writeTimeline(run.timeline, session, output);
  try {
    const bus = { ...directory.record.bus, socketPath: undefined };
    directory.update({ state, bus, ...(result !== undefined && { result }) });
    if (session.curves.hasSteps || result !== undefined)
      await writeReport({ directory, curves: session.curves });
  } catch (error) {
    output.message(`warning: ${directory.path} can't be written (${(error as Error).message}).`);
  }
}

function writeTimeline(path: string, { timeline }: Session, output: Output): void {
  try {
    const omitted = timeline?.write(path) ?? 0;
    const rest = omitted === 0 ? '' : `; ${omitted} entries were left out`;
    const event = { type: 'timeline', path, omitted };
    output.message(`Timeline for ui.perfetto.dev: ${path}${rest}`, event);
  } catch (error) {
    output.message(`warning: ${path} can't be written (${(error as Error).message}).`);
  }
}

function isStop(failure: unknown, signal: AbortSignal): boolean {
  if (failure === signal.reason) return true;
  const isAbort = failure instanceof Error && failure.name === 'AbortError';
  // Once the bus is lost for good, calls fail in many ways; all of them mean that it is lost.
  return isAbort || (signal.reason instanceof CodistillError && failure instanceof CodistillError);
}

/** The promise's outcome, or the signal's reason when it doesn't settle soon after the signal aborts. */
async function settleSoonAfter(signal: AbortSignal, promise: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => late.reject(signal.reason), drainMs);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

async function within(ms: number, promise: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, timeUp]).finally(() => clearTimeout(timer));
}

function tellStart({ job, directory, resumed, options, output }: JobRun, { log }: Session): void {
  const { seed } = directory.record;
  const event = { type: 'run', run: directory.path, job: job.name, resumed, seed, options };
  log.append(event);
  output.message(`${resumed ? 'Resuming' : 'Running'} ${job.name} in ${directory.path}`, event);
}
