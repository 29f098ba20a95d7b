import { CodistillError, RemoteError } from '../../errors.ts';

/** The stable code of our own errors, the system's code of its errors, else `FAILED`. */
export function errorCode(error: unknown): string {
  if (error instanceof RemoteError) return error.remoteCode ?? error.code;
  if (error instanceof CodistillError) return error.code;
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : 'FAILED';
}

/** The message, with the messages of its causes where they add something. */
export function describeError(error: unknown): string {
  const messages: string[] = [];
  for (let depth = 0, at = error; depth < 5 && at !== undefined; depth++) {
    const message = at instanceof Error ? at.message || at.name : String(at);
    if (!messages.some((known) => known.includes(message))) messages.push(message);
    at = at instanceof Error ? at.cause : undefined;
  }
  return messages
    .map((message, index) =>
      index + 1 < messages.length && !/[.!?:]$/.test(message) ? `${message}.` : message,
    )
    .join(' Cause: ');
}

/** For people: our own errors say all in their message, others are shown with their stack. */
export function formatError(error: unknown): string {
  const expected = error instanceof CodistillError || !(error instanceof Error);
  return expected ? describeError(error) : (error.stack ?? describeError(error));
}
