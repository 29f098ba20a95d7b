import { availableParallelism, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { actorModules } from '../../actors/index.ts';
import { BusUnavailableError, UserInputError } from '../../errors.ts';
import {
  createSystem,
  isJob,
  jobController,
  jobLabel,
  type LogEntry,
  type MetricsOptions,
  type NatsOptions,
  type Resources,
  type System,
  type SystemOptions,
  startMetricsServer,
} from '../../runtime/index.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { Interruption, type InterruptionWatch, watchInterruptions } from '../interruption.ts';
import { importModule, moduleUrl, offerPackage } from '../jobs/job-module.ts';
import { exampleModule, listExamples } from '../package-info.ts';
import type { CommandContext } from '../program.ts';
import { type MetricsFlags, planMetrics, tellMetrics } from '../run/metrics-option.ts';
import { describeServers, type NatsFlags, parseNatsFlags } from './nats-address.ts';
import { parseLabels, parseResources, parseVariableNames } from './node-offer.ts';

export interface NodeFlags extends NatsFlags, NodeOptions {}

export interface NodeOptions extends MetricsFlags {
  readonly name?: string;
  readonly namespace?: string;
  readonly module?: readonly string[];
  readonly resources?: readonly string[];
  readonly labels?: readonly string[];
  readonly allowEnvironment?: readonly string[];
}

const drainMs = 5000;
/** Nodes announce themselves each second. */
const GREETING_MS = 3000;

/**
 * `actorctl node`: takes actors of the jobs on a nats-server until it is told to stop, then lets its actors finish,
 * has them moved to other nodes and leaves. It instantiates only actors of the built-in modules and of those given here.
 */
export async function nodeCommand(flags: NodeFlags, context: CommandContext): Promise<ExitCode> {
  const nats = parseNatsFlags(flags);
  if (nats === undefined) throw new UserInputError('A node needs a server to join: give --nats.');
  const plan = await planNode(flags, context.environment.cwd);
  using watch = watchNode(context);
  return await serveNode({ nats, plan, watch, context });
}

/** Its first Ctrl-C lets a node leave, its second ends the process. */
export function watchNode({ output, environment }: CommandContext): InterruptionWatch {
  return watchInterruptions({
    stdout: environment.stdout,
    onFirst: () =>
      output.message('Leaving: the actors here finish and move. Again ends them at once.'),
    onSecond: () => process.exit(exitCodes.interrupted),
  });
}

/** What a node offers, checked and with its modules loaded. */
export interface NodePlan {
  readonly system: Omit<SystemOptions, 'bus'>;
  readonly metrics: MetricsOptions | undefined;
}

/** @throws UserInputError */
export async function planNode(flags: NodeOptions, cwd: string): Promise<NodePlan> {
  const metrics = planMetrics(flags);
  const resources = flags.resources && { ...allOfThisHost(), ...parseResources(flags.resources) };
  const labels = flags.labels && parseLabels(flags.labels);
  const allowEnvironment = flags.allowEnvironment && parseVariableNames(flags.allowEnvironment);
  const modules = await listModules(flags.module ?? [], cwd);
  const jobs = await labelJobs(modules);
  const system = {
    modules,
    ...(flags.name !== undefined && { nodeName: flags.name }),
    ...(flags.namespace !== undefined && { namespace: flags.namespace }),
    ...(resources && { resources }),
    ...(allowEnvironment && { allowEnvironment }),
    labels: { ...jobs, ...labels },
  };
  return { system, metrics };
}

/** A node from joining to leaving. @throws what ended it, unless it was asked to. */
export async function serveNode(options: {
  readonly nats: NatsOptions;
  readonly plan: NodePlan;
  readonly watch: InterruptionWatch;
  readonly context: CommandContext;
  onJoined?(): void;
}): Promise<ExitCode> {
  const { nats, plan, watch, context, onJoined } = options;
  const { output } = context;
  let refusal: string | undefined;
  const log = ({ code, message }: LogEntry): void => {
    if (code !== 'NODE_REFUSED') return;
    refusal ??= message;
    output.message(message, { type: 'warning', message });
  };
  await using system = await createSystem({ bus: { nats }, ...plan.system, log });
  followNode(system, watch, context);
  // A newcomer ends, not those that it finds; by then each of its own version has answered.
  const greeted = setTimeout(() => {
    const isAlone = system.nodes().every(({ self }) => self);
    if (refusal === undefined || !isAlone) return;
    const text = `No node here speaks this one's protocol version, so it would take part in nothing: ${refusal}.`;
    watch.interrupt(new UserInputError(text));
  }, GREETING_MS);
  await using metrics = plan.metrics && (await startMetricsServer(system, plan.metrics));
  onJoined?.();
  const server = describeServers(nats);
  const { nodeId } = system;
  output.message(`Joined ${server} as ${plan.system.nodeName ?? nodeId}; Ctrl-C leaves.`, {
    type: 'node',
    event: 'joined',
    node: nodeId,
    server,
  });
  if (metrics) tellMetrics(output, metrics);
  let timeoutMs = drainMs;
  system.onLeaveRequest((wantedMs) => {
    timeoutMs = wantedMs;
    watch.interrupt(new Interruption('was asked to leave'));
  });
  const reason = await aborted(watch.signal);
  clearTimeout(greeted);
  await system.drain({ timeoutMs });
  if (!(reason instanceof Interruption)) throw reason;
  output.message('Left.', { type: 'node', event: 'left', node: nodeId });
  return exitCodes.ok;
}

/** A node outlives its server's restarts; only a bus that is closed for good ends it. */
function followNode(system: System, watch: InterruptionWatch, { output }: CommandContext): void {
  system.onStatus((status) => {
    if (status.type === 'disconnected') {
      const message = `The server is away (${status.reason}); reconnecting.`;
      output.message(message, { type: 'warning', message });
    } else if (status.type === 'connected') {
      output.message('Connected again.', { type: 'node', event: 'connected', node: system.nodeId });
    } else if (status.type === 'closed') {
      const reason = status.error?.message ?? 'no reason given';
      watch.interrupt(new BusUnavailableError(`The connection was closed for good: ${reason}`));
    }
  });
}

/** What is not named by `--resources` stays as it would be without. */
function allOfThisHost(): Resources {
  return { cpu: availableParallelism(), memoryBytes: totalmem() };
}

async function listModules(paths: readonly string[], cwd: string): Promise<readonly string[]> {
  if (paths.length > 0) await offerPackage();
  const urls = await Promise.all(paths.map((path) => moduleUrl(resolve(cwd, path))));
  const examples = listExamples().map((name) => exampleModule(name).href);
  const given = urls.map(({ href }) => href);
  return [...new Set([...actorModules, jobController.module, ...examples, ...given])];
}

/** Which submitted jobs can run here: those that the modules have. */
async function labelJobs(modules: readonly string[]): Promise<Record<string, string>> {
  const loaded = await Promise.all(modules.map((url) => importModule(new URL(url))));
  const jobs = loaded.map((module) => module.default).filter(isJob);
  return Object.fromEntries(jobs.map(({ name }) => [jobLabel(name), 'yes']));
}

async function aborted(signal: AbortSignal): Promise<unknown> {
  if (!signal.aborted) {
    await new Promise((settle) => signal.addEventListener('abort', settle, { once: true }));
  }
  return signal.reason;
}
