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

/** A message is larger than the bus carries in one piece, or a value larger than its receiver takes. */
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

/** A file can't be had from its address: no such file there, or the server can't be reached for too long. */
export class DownloadError extends CodistillError {
  readonly code = 'DOWNLOAD';
}

/** Why an actor is gone, for programs; `message` says it in one sentence. */
export interface DeathCause {
  readonly kind: 'exit' | 'signal' | 'error' | 'node-lost' | 'fenced' | 'stopped';
  readonly exitCode?: number;
  readonly signal?: string;
  readonly message: string;
  /** Resident memory of the actor's process when last looked at, at most a second before its end. */
  readonly rssBytes?: number;
  /** What the actor's process wrote last, at most 20 lines. */
  readonly lastOutput: readonly string[];
}

/** The actor that was called is dead, or died with the call in flight; `deathCause` says of what. */
export class ActorDiedError extends CodistillError {
  readonly code = 'ACTOR_DIED';
  readonly actor: string;
  readonly deathCause: DeathCause;

  constructor(message: string, actor: string, deathCause: DeathCause) {
    super(message);
    this.actor = actor;
    this.deathCause = deathCause;
  }
}

/** An actor has as many calls waiting as it accepts: call more slowly, or raise `mailboxMessagesMax`. */
export class MailboxFullError extends CodistillError {
  readonly code = 'MAILBOX_FULL';
}

/** A queue was closed: it takes no more items. */
export class QueueClosedError extends CodistillError {
  readonly code = 'QUEUE_CLOSED';
}

/** What was called is not among the actor's declared methods. */
export class UnknownMethodError extends CodistillError {
  readonly code = 'UNKNOWN_METHOD';
}

export interface InputIssue {
  readonly message: string;
  /** Of a method: the index of the argument first, then the way to the value inside it. */
  readonly path: readonly (string | number)[];
}

/** Arguments or options that the actor's schemas refuse; `issues` lists what and where, 50 at most. */
export class InvalidInputError extends CodistillError {
  readonly code = 'INVALID_INPUT';
  readonly issues: readonly InputIssue[];

  constructor(message: string, issues: readonly InputIssue[]) {
    super(message);
    this.issues = issues;
  }
}

/** A node was asked for an actor type that none of its modules exports. */
export class UnknownActorTypeError extends CodistillError {
  readonly code = 'UNKNOWN_ACTOR_TYPE';
}

/** No node can take the actor; the message gives each node's reason. */
export class PlacementError extends CodistillError {
  readonly code = 'PLACEMENT';
}

/** Another living actor of this namespace has the name. */
export class NameTakenError extends CodistillError {
  readonly code = 'NAME_TAKEN';
}

/** A method of an actor threw: its error as it crossed the wire. */
export class RemoteError extends CodistillError {
  readonly code = 'REMOTE';
  readonly remoteName: string;
  /** The `code` of the error that was thrown, if it had one. */
  readonly remoteCode: string | undefined;
  readonly remoteStack: string | undefined;

  constructor(message: string, remote: { name: string; code?: string; stack?: string }) {
    super(message);
    this.remoteName = remote.name;
    this.remoteCode = remote.code;
    this.remoteStack = remote.stack;
  }
}

/** A request was not sent or was dropped on its way, because its receiver takes messages too slowly. */
export class BusOverloadedError extends CodistillError {
  readonly code = 'BUS_OVERLOADED';
}

/** A simulation has nothing left to happen, but what was awaited has not come about. */
export class SimulationStalledError extends CodistillError {
  readonly code = 'SIMULATION_STALLED';
}

/** A step can't be compiled: an operation or a use of tensors that has no compiled form. */
export class CannotCompileError extends CodistillError {
  readonly code = 'CANNOT_COMPILE';
}

/** No engine can run a step here, or the one that was asked for can't. */
export class EngineUnavailableError extends CodistillError {
  readonly code = 'ENGINE_UNAVAILABLE';
}

/** Why an object can't be had any more. */
export type ObjectLossReason =
  /** All references to it were released, or their leases ended. */
  | 'freed'
  /** The node that held it is gone. */
  | 'owner-died'
  /** Its file was damaged while it lay on disk. */
  | 'damaged';

/** The object of a reference is gone for good; `reason` says why. */
export class ObjectLostError extends CodistillError {
  readonly code = 'OBJECT_LOST';
  readonly reason: ObjectLossReason;

  constructor(message: string, reason: ObjectLossReason) {
    super(message);
    this.reason = reason;
  }
}

/** A node's object store has no room: release references, or raise its limits. */
export class ObjectStoreFullError extends CodistillError {
  readonly code = 'OBJECT_STORE_FULL';
}
