import type { JobEvent } from '../../runtime/index.ts';
import { createJsonOutput } from './json-output.ts';
import { createPlainOutput } from './plain-output.ts';
import { createTerminalOutput } from './terminal-output.ts';

/** Where a command's events, messages and errors go: one of a terminal, plain lines, or JSON lines. */
export interface Output extends Disposable {
  /** Something that happened in a job, shown as this output sees fit. */
  event(event: JobEvent): void;
  /** A sentence for people; programs get the event in its place, if there is one. */
  message(text: string, event?: JobEvent): void;
  /** How things stand, in place of what this said before; programs get the event. */
  status(text: string, event: JobEvent): void;
  error(error: unknown): void;
}

/** What a command gets from its process, handed in so that tests can give their own. */
export interface CommandEnvironment {
  readonly cwd: string;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  /** Milliseconds since the command started. */
  now(): number;
  date(): Date;
}

export function createOutput(
  environment: CommandEnvironment,
  options: { readonly json?: boolean },
): Output {
  if (options.json) return createJsonOutput(environment);
  // A terminal without a size (some CI systems make one) shows a live display as nothing at all.
  const { isTTY, columns, rows } = environment.stdout;
  return isTTY && columns > 0 && rows > 0
    ? createTerminalOutput(environment)
    : createPlainOutput(environment);
}
