import { Argument, type Command, InvalidArgumentError } from 'commander';
import type { ExitCode } from '../exit-codes.ts';
import type { CommandContext } from '../program.ts';
import type { DataFlags } from './data-command.ts';

/** Adds the command for public data sets. */
export function addData(
  program: Command,
  context: CommandContext,
  done: (code: ExitCode) => void,
): void {
  program
    .command('data')
    .description('list public data sets, or fetch one from its publisher')
    .addArgument(new Argument('<action>', 'what to do').choices(['list', 'fetch']))
    .argument('[name]', 'of the data set to fetch')
    .option('--to <folder>', 'where its files go (default data/<name>)')
    .option('--from <url>', 'another address that has the same files')
    .option('--deadline <minutes>', 'for each file', minutes, 120)
    .option('--json', 'one JSON object per line and event on stdout')
    .addHelpText(
      'after',
      `
Examples:
  actorctl data list
  actorctl data fetch fashion-mnist --to data/fashion-mnist
  actorctl data fetch adult --from https://mirror.example/adult/`,
    )
    .action(async (action: 'list' | 'fetch', name: string | undefined, flags: DataFlags) => {
      const { fetchCommand, listDataCommand } = await import('./data-command.ts');
      done(
        action === 'list'
          ? listDataCommand(context, flags)
          : await fetchCommand(name, flags, context),
      );
    });
}

function minutes(text: string): number {
  const value = Number(text);
  // Timers count milliseconds in 31 bits.
  if (value > 0 && value <= 35_000) return value;
  throw new InvalidArgumentError('It is a number above 0, of at most 35000.');
}
