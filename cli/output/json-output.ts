import { Console } from 'node:console';
import { describeError, errorCode } from './error-text.ts';
import type { CommandEnvironment, Output } from './output.ts';

/** One JSON object per line on stdout, and nothing else there; what is for people goes to stderr. */
export function createJsonOutput({ stdout, stderr }: CommandEnvironment): Output {
  // A job's console.log would break the lines of whoever parses them.
  globalThis.console = new Console(stderr);
  const write = (value: object) => stdout.write(`${JSON.stringify(value)}\n`);
  return {
    event: write,
    message(text, event) {
      if (event === undefined) stderr.write(`${text}\n`);
      else write(event);
    },
    status: (_, event) => write(event),
    error(error) {
      write({ type: 'error', code: errorCode(error), message: describeError(error) });
    },
    [Symbol.dispose]() {},
  };
}
