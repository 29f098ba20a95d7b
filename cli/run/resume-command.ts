import { resolve } from 'node:path';
import { UserInputError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { reloadJob } from '../jobs/job-module.ts';
import { checkJobOptions } from '../jobs/job-options.ts';
import type { CommandContext } from '../program.ts';
import { type NatsFlags, parseNatsFlags } from '../server/nats-address.ts';
import { runJob } from './job-run.ts';
import { type MetricsFlags, planMetrics } from './metrics-option.ts';
import { openRunDirectory, type RunRecord } from './run-directory.ts';

export interface ResumeFlags extends NatsFlags, MetricsFlags {
  readonly waitNodes: number;
  readonly timeline?: string;
  /** Seconds. */
  readonly busTimeout: number;
}

/**
 * `actorctl resume RUN`: goes on from the checkpoints of a run that didn't come to its end. A finished run is
 * shown again; that is no error, so a script may resume until it gets 0.
 */
export async function resumeCommand(
  run: string,
  flags: ResumeFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  using directory = await openRunDirectory(run, environment.cwd);
  const { record } = directory;
  if (record.state === 'finished') {
    output.message(`The run in ${directory.path} has finished; there is nothing to resume.`, {
      type: 'finished',
      run: directory.path,
    });
    if (record.result !== undefined) output.event(record.result);
    return exitCodes.ok;
  }
  const { job } = await reloadJob(record.job);
  const options = checkJobOptions(job, record.options);
  return await runJob({
    job,
    options,
    directory,
    resumed: true,
    nats: parseNatsFlags({ ...busOf(record), ...flags }),
    namespace: record.bus.namespace,
    waitNodes: flags.waitNodes,
    busTimeoutMs: flags.busTimeout * 1000,
    metrics: planMetrics(flags),
    timeline: flags.timeline && resolve(environment.cwd, flags.timeline),
    output,
    environment,
  });
}

/** The server of the first session, unless another is given; credentials are never kept. */
function busOf({ bus }: RunRecord): NatsFlags {
  if (bus.kind === 'local') return {};
  if (bus.servers === undefined) throw new UserInputError('run.json names no server; give --nats.');
  return { nats: bus.servers };
}
