import { UserInputError } from '../../errors.ts';
import {
  type JobClient,
  type JobRecord,
  type LoggedEvent,
  openJobClient,
} from '../../runtime/index.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { Interruption, watchInterruptions } from '../interruption.ts';
import { describeLoggedEvent } from '../observation/event-text.ts';
import { jobListing } from '../observation/job-listing.ts';
import { type ListFlags, listCommand } from '../observation/list-command.ts';
import type { RowSource } from '../observation/listing.ts';
import type { CommandContext } from '../program.ts';
import { describeServers, type NatsFlags, parseNatsFlags } from '../server/nats-address.ts';
import { exitCodeOfJob } from './job-exit-code.ts';
import { loadJob } from './job-module.ts';
import { parseAssignment, parseJobOptions } from './job-options.ts';

/** Options of the commands for jobs that the nodes of a server run for themselves. */
export interface JobFlags extends NatsFlags {
  readonly namespace?: string;
  readonly json?: boolean;
}

export interface SubmitFlags extends JobFlags {
  readonly set?: readonly string[];
  readonly name?: string;
  readonly scope?: string;
  readonly wait?: boolean;
}

/** `actorctl submit NAME|FILE.ts`: checks the options here, and leaves the job to a node that has it. */
export async function submitCommand(
  nameOrFile: string,
  flags: SubmitFlags,
  context: CommandContext,
): Promise<ExitCode> {
  const { output, environment } = context;
  const { job } = await loadJob(nameOrFile, environment.cwd);
  const options = parseJobOptions(job, (flags.set ?? []).map(parseAssignment));
  const stamp = environment.date().toISOString().replace(/\D/g, '').slice(0, 14);
  const id = flags.name ?? `${job.name}-${stamp}`;
  return await withClient(flags, async (client) => {
    await client.submit({ id, job: job.name, options, scope: flags.scope });
    output.message(`Submitted ${id}.`, { type: 'submitted', job: id });
    return flags.wait ? await followToEnd(client, id, context) : exitCodes.ok;
  });
}

export async function jobsCommand(
  flags: JobFlags & ListFlags,
  context: CommandContext,
): Promise<ExitCode> {
  const open = () => openJobSource(flags);
  return await listCommand({ listing: jobListing, open }, flags, context);
}

async function openJobSource(flags: JobFlags): Promise<RowSource<JobRecord>> {
  const { client, place } = await openClient(flags);
  return {
    place,
    look: async () => ({ rows: await client.list(), gaps: [] }),
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** Its exit code is the job's; that of a job that goes on is 0. */
export async function statusCommand(
  id: string,
  flags: JobFlags & { readonly wait?: boolean },
  context: CommandContext,
): Promise<ExitCode> {
  return await withClient(flags, async (client) => {
    const job = await client.status(id);
    if (!flags.wait || job.state !== 'running') return tellState(job, context);
    return await untilInterrupted(id, context, async (signal) => {
      tellState(job, context);
      return tellState(await client.waitForEnd(id, signal, warnOf(context)), context);
    });
  });
}

export async function logsCommand(
  id: string,
  flags: JobFlags & { readonly follow?: boolean },
  context: CommandContext,
): Promise<ExitCode> {
  return await withClient(flags, async (client) => {
    await client.status(id);
    if (!flags.follow) {
      const { signal } = new AbortController();
      for await (const logged of client.events(id, { follow: false, signal })) {
        tellLogged(logged, context);
      }
      return exitCodes.ok;
    }
    return await followToEnd(client, id, context);
  });
}

export async function stopCommand(
  id: string,
  flags: JobFlags,
  context: CommandContext,
): Promise<ExitCode> {
  return await withClient(flags, async (client) => {
    const before = await client.status(id);
    const isOver = before.state !== 'running';
    const { state, error } = isOver ? before : await client.stop(id);
    const why = error === undefined ? '' : `: ${error.message}`;
    const text = isOver ? `Job ${id} had already ${state}${why}` : `Job ${id} has ${state}${why}`;
    context.output.message(text, { type: 'job', job: id, state });
    return exitCodes.ok;
  });
}

async function withClient(
  flags: JobFlags,
  body: (client: JobClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { client } = await openClient(flags);
  try {
    return await body(client);
  } finally {
    await client.close();
  }
}

async function openClient(
  flags: JobFlags,
): Promise<{ readonly client: JobClient; readonly place: string }> {
  const nats = parseNatsFlags(flags);
  if (nats === undefined) {
    throw new UserInputError(
      'Jobs are kept in a nats-server, so that they outlive this command: give --nats URL. ' +
        'actorctl up starts one; actorctl run needs none.',
    );
  }
  const { namespace = 'default' } = flags;
  const client = await openJobClient(nats, namespace);
  return { client, place: `namespace ${namespace} at ${describeServers(nats)}` };
}

/** Shows events as they come until the job is over. */
async function followToEnd(
  client: JobClient,
  id: string,
  context: CommandContext,
): Promise<ExitCode> {
  return await untilInterrupted(id, context, async (signal) => {
    const looking = new AbortController();
    let shown = 0;
    const showing = showAll(client.events(id, { follow: true, signal: looking.signal }), () => {
      shown += 1;
    });
    const job = await client.waitForEnd(id, signal, warnOf(context)).finally(() => looking.abort());
    await showing;
    // All was written before the job was over: what was not shown yet is there now.
    let skipped = 0;
    for await (const logged of client.events(id, { follow: false, signal })) {
      skipped += 1;
      if (skipped > shown) tellLogged(logged, context);
    }
    return tellState(job, context);
  });

  async function showAll(events: AsyncIterable<LoggedEvent>, note: () => void): Promise<void> {
    for await (const logged of events) {
      note();
      tellLogged(logged, context);
    }
  }
}

function tellLogged(logged: LoggedEvent, { output }: CommandContext): void {
  output.message(describeLoggedEvent(logged), logged.event);
}

/** Ctrl-C ends only the looking: the job goes on. */
async function untilInterrupted(
  id: string,
  { environment, output }: CommandContext,
  look: (signal: AbortSignal) => Promise<ExitCode>,
): Promise<ExitCode> {
  using watch = watchInterruptions({
    stdout: environment.stdout,
    onFirst: () => {},
    onSecond: () => process.exit(exitCodes.interrupted),
  });
  try {
    return await look(watch.signal);
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    output.message(`Job ${id} goes on; actorctl stop ${id} ends it.`, { type: 'left', job: id });
    return exitCodes.interrupted;
  }
}

/** Beside what is shown of the job. */
function warnOf({ environment }: CommandContext): (message: string) => void {
  return (message) => void environment.stderr.write(`actorctl: ${message}\n`);
}

function tellState(job: JobRecord, { output }: CommandContext): ExitCode {
  const { id, state, error } = job;
  const why = error === undefined ? '' : `: ${error.message}`;
  const verb = state === 'running' ? 'is' : 'has';
  output.message(`Job ${id} ${verb} ${state}${why}`, { ...job, type: 'job' });
  return exitCodeOfJob(job);
}
