import { type Command, InvalidArgumentError, Option } from 'commander';

export function addFilterOption(command: Command): Command {
  return command.option(
    '--filter <key=value...>',
    'only what has these values; * stands for anything',
  );
}

/** For a listing that is shown again and again. */
export function addWatchOption(command: Command): Command {
  const watch = new Option('--watch [seconds]', 'look again, every 2 s or so often, until Ctrl-C');
  return command.addOption(watch.argParser(parseSeconds));
}

function parseSeconds(text: string): number {
  const value = Number(text);
  if (value >= 0.1 && value <= 3600) return value;
  throw new InvalidArgumentError('It is a number of seconds, 0.1 to 3600.');
}
