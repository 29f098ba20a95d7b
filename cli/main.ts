import { CommanderError } from 'commander';
import { UserInputError } from '../errors.ts';
import { type ExitCode, exitCodeFor, exitCodes } from './exit-codes.ts';
import { type CommandEnvironment, createOutput, type Output } from './output/output.ts';
import { type CommandContext, createProgram } from './program.ts';

const environment: CommandEnvironment = {
  cwd: process.cwd(),
  stdout: process.stdout,
  stderr: process.stderr,
  now: () => performance.now(),
  date: () => new Date(),
};

await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<void> {
  hideAddresses(args);
  process.stdout.on('error', ignoreClosedPipe);
  using output = createOutput(environment, { json: args.includes('--json') });
  process.on('uncaughtException', (error) => {
    output.error(error);
    process.exit(exitCodeFor(error));
  });
  process.exitCode = await execute(args, { output, environment });
  // Everything is closed now. What a library still holds open must not keep the command from ending.
  setTimeout(() => process.exit(), 1000).unref();
}

async function execute(args: readonly string[], context: CommandContext): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const program = createProgram(context, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return reportUsage(error, context.output);
    context.output.error(error);
    return exitCodeFor(error);
  }
}

/** Help and version come as errors too; commander has printed them already. */
function reportUsage(error: CommanderError, output: Output): ExitCode {
  if (error.exitCode === 0) return exitCodes.ok;
  const message = error.message.replace(/^error: /, '');
  const sentence = message === '(outputHelp)' ? 'Which command? See actorctl --help.' : message;
  output.error(new UserInputError(sentence, { cause: undefined }));
  return exitCodes.usage;
}

/** An address may hold a password, which `ps` would show for as long as the command runs. */
function hideAddresses(args: readonly string[]): void {
  if (args.some((arg) => arg.includes('@'))) process.title = 'actorctl';
}

/** `actorctl … | head` closes the pipe; a run hears of it and stops, other commands just end. */
function ignoreClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}
