import type { Command } from 'commander';
import type { ExitCode } from '../exit-codes.ts';
import type { ListFlags } from '../observation/list-command.ts';
import { addFilterOption, addWatchOption } from '../observation/list-options.ts';
import type { CommandContext } from '../program.ts';
import { addNatsOptions } from '../server/nats-address.ts';
import type { JobFlags, SubmitFlags } from './job-commands.ts';

/** Adds the commands for jobs that the nodes of a server run for themselves. */
export function addJobCommands(
  program: Command,
  context: CommandContext,
  done: (code: ExitCode) => void,
): void {
  const add = (name: string, description: string, example: string): Command =>
    addNatsOptions(program.command(name).description(description), {
      text: 'the server whose nodes run the job',
    })
      .option('--namespace <name>', 'only nodes of this name')
      .option('--json', 'one JSON object per line on stdout')
      .addHelpText('after', `\nExamples:\n  actorctl ${name} ${example}`);
  const load = () => import('./job-commands.ts');

  add(
    'submit',
    'leave a job to the nodes of a server',
    'lm-codistill --nats nats://10.0.0.5:4222 --wait',
  )
    .argument('<job>', 'NAME of an example, or FILE.ts whose default export is a job')
    .option('--set <key=value...>', "an option of the job's")
    .option('--name <name>', 'how this one is called (default <job>-<time>)')
    .option(
      '--scope <name>',
      'before the names of its actors; jobs of one share names (default its name)',
    )
    .option('--wait', 'show its events, and end with its exit code')
    .action(async (job: string, flags: SubmitFlags) => {
      done(await (await load()).submitCommand(job, flags, context));
    });
  const jobs = add('jobs', 'list submitted jobs', '--nats nats://10.0.0.5:4222');
  addWatchOption(addFilterOption(jobs)).action(async (flags: JobFlags & ListFlags) => {
    done(await (await load()).jobsCommand(flags, context));
  });
  add(
    'status',
    "tell a job's state; the exit code is the job's",
    'my-job --nats nats://10.0.0.5:4222',
  )
    .argument('<name>', 'as actorctl jobs lists it')
    .option('--wait', 'until it is over')
    .action(async (name: string, flags: JobFlags & { readonly wait?: boolean }) => {
      done(await (await load()).statusCommand(name, flags, context));
    });
  add(
    'logs',
    "show a job's events and what its actors wrote",
    'my-job -f --nats nats://10.0.0.5:4222',
  )
    .argument('<name>', 'as actorctl jobs lists it')
    .option('-f, --follow', 'go on until it is over, and end with its exit code')
    .action(async (name: string, flags: JobFlags & { readonly follow?: boolean }) => {
      done(await (await load()).logsCommand(name, flags, context));
    });
  add('stop', 'let a job drain and save, then end it', 'my-job --nats nats://10.0.0.5:4222')
    .argument('<name>', 'as actorctl jobs lists it')
    .action(async (name: string, flags: JobFlags) => {
      done(await (await load()).stopCommand(name, flags, context));
    });
}
