import { type Command, InvalidArgumentError } from 'commander';
import type { ExitCode } from '../exit-codes.ts';
import type { CommandContext } from '../program.ts';
import { addNatsOptions } from '../server/nats-address.ts';
import type { ObservationFlags } from './bus-observation.ts';
import type { EventsFlags } from './events-command.ts';
import type { InspectionListing } from './inspection-source.ts';
import type { ListFlags } from './list-command.ts';
import { addFilterOption, addWatchOption } from './list-options.ts';

interface LookFlags extends ObservationFlags, ListFlags {}

/** Adds the commands that look at what is running and change nothing. */
export function addObservationCommands(
  program: Command,
  context: CommandContext,
  done: (code: ExitCode) => void,
): void {
  addListOptions(program.command('nodes').description('list the nodes that are there'))
    .addHelpText('after', examples('nodes', 'nodes --filter labels.zone=attic --json'))
    .action(async (flags: LookFlags) => {
      const { nodeListing } = await import('./node-listing.ts');
      done(await list(nodeListing, flags, context));
    });
  addListOptions(program.command('actors').description('list actors, and why dead ones died'))
    .addHelpText('after', examples('actors', 'actors --filter status=dead actorType=codistill/*'))
    .action(async (flags: LookFlags) => {
      const { actorListing } = await import('./actor-listing.ts');
      done(await list(actorListing, flags, context));
    });
  addListOptions(program.command('objects').description('list the largest objects of each node'))
    .addHelpText('after', examples('objects', 'objects --filter node=attic where=disk'))
    .action(async (flags: LookFlags) => {
      const { objectListing } = await import('./object-listing.ts');
      done(await list(objectListing, flags, context));
    });
  addListOptions(program.command('top').description('show the busiest actors'))
    .addHelpText('after', examples('top', 'top --json --watch 5 --filter node=attic'))
    .action(async (flags: LookFlags) => {
      const { topListing } = await import('./top-listing.ts');
      // As people know it from `top`: in a terminal it stays.
      const stays = context.environment.stdout.isTTY && !flags.json;
      const watching: LookFlags = { ...flags, ...(stays && { watch: flags.watch ?? true }) };
      done(await list(topListing, watching, context));
    });
  addEvents(program, context, done);
}

async function list<Row extends object>(
  listing: InspectionListing<Row>,
  flags: LookFlags,
  context: CommandContext,
): Promise<ExitCode> {
  const { listCommand } = await import('./list-command.ts');
  const { openInspectionSource } = await import('./inspection-source.ts');
  const open = () => openInspectionSource(listing, flags, context.environment);
  return await listCommand({ listing, open }, flags, context);
}

function addEvents(program: Command, context: CommandContext, done: (code: ExitCode) => void) {
  const command = program
    .command('events')
    .description('tell what happened to actors, nodes and the bus, and why');
  addPlaceOptions(command)
    .option(
      '--last <n>',
      'past events, of at most a thousand that each node keeps',
      wholeNumber,
      20,
    )
    .option('--watch', 'go on with what happens, until Ctrl-C')
    .addHelpText('after', examples('events --watch', 'events --last 100 --filter event=actor-died'))
    .action(async (flags: EventsFlags) => {
      const { eventsCommand } = await import('./events-command.ts');
      done(await eventsCommand(flags, context));
    });
}

function addListOptions(command: Command): Command {
  return addWatchOption(addPlaceOptions(command));
}

function addPlaceOptions(command: Command): Command {
  addNatsOptions(command, { text: 'look at the nodes of this nats-server' })
    .option('--namespace <name>', 'only nodes of this name')
    .option('--run <dir>', 'look at this run; without --nats and --run: the newest below runs/')
    .option('--json', 'one JSON object per line on stdout');
  return addFilterOption(command);
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  actorctl ${line}`).join('\n')}`;
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError('It is a whole number.');
}
