/** Every error that Codistill raises on purpose: a stable `code` for programs, a sentence for people. */
export abstract class CodistillError extends Error {
  /** Stable across versions; it also names the error on the wire. */
  abstract readonly code: string;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A call, request or transfer did not settle before its deadline. */
export class DeadlineError extends CodistillError {
  readonly code = 'DEADLINE';
}

/** Nobody listens on the subject that a request went to. */
export class NoResponderError extends CodistillError {
  readonly code = 'NO_RESPONDER';
}

/** A message is larger than the bus carries in one piece. */
export class PayloadTooLargeError extends CodistillError {
  readonly code = 'PAYLOAD_TOO_LARGE';
}

/** The bus was closed, by us or for good by its far side. */
export class BusClosedError extends CodistillError {
  readonly code = 'BUS_CLOSED';
}

/** The bus can't be reached: a server that is not there, refuses us, or stays away too long. */
export class BusUnavailableError extends CodistillError {
  readonly code = 'BUS_UNAVAILABLE';
}

/** Bytes that are not what they claim to be: a damaged frame, delta, checkpoint or record batch. */
export class DamagedDataError extends CodistillError {
  readonly code = 'DAMAGED_DATA';
}

/** What the user gave (a path, an option, a file) can't be used; the message says what can. */
export class UserInputError extends CodistillError {
  readonly code = 'USER_INPUT';
}
