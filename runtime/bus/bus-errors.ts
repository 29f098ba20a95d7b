import {
  BusClosedError,
  BusOverloadedError,
  BusUnavailableError,
  PayloadTooLargeError,
} from '../../errors.ts';
import type { BusKind } from './bus.ts';

export function closedError(kind: BusKind): BusClosedError {
  return new BusClosedError(`The ${kind} bus is closed. Connect anew to go on.`);
}

export function tooLargeError(
  subject: string,
  bytes: number,
  bytesMax: number,
): PayloadTooLargeError {
  return new PayloadTooLargeError(
    `A message to "${subject}" has ${bytes} bytes; this bus carries ${bytesMax}. ` +
      'Send it in chunks.',
  );
}

export function overloadedError(subject: string): BusOverloadedError {
  return new BusOverloadedError(
    `The receiver of "${subject}" takes its messages too slowly; this one was dropped. ` +
      'Send fewer at once.',
  );
}

/** The user that we are there has no permission. */
export function refusedError(operation: string, subject: string): BusUnavailableError {
  const what = operation === 'publish' ? 'publish' : 'subscribe';
  return new BusUnavailableError(
    `The NATS server does not let us ${what} to "${subject}": check the user's permissions.`,
  );
}
