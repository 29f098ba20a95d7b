import * as v from 'valibot';
import {
  ActorDiedError,
  BusClosedError,
  BusUnavailableError,
  type CodistillError,
  DamagedDataError,
  DeadlineError,
  type DeathCause,
  type InputIssue,
  InvalidInputError,
  MailboxFullError,
  NameTakenError,
  NoResponderError,
  type ObjectLossReason,
  ObjectLostError,
  ObjectStoreFullError,
  PayloadTooLargeError,
  PlacementError,
  QueueClosedError,
  RemoteError,
  UnknownActorTypeError,
  UnknownMethodError,
  UserInputError,
} from '../../errors.ts';

/** An error as plain data. */
export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly actor?: string;
  readonly deathCause?: DeathCause;
  readonly issues?: readonly InputIssue[];
  readonly objectLoss?: ObjectLossReason;
}

const TEXT_CHARACTERS_MAX = 16_384;

/** Whatever was thrown, as plain data; long texts are cut. */
export function toWireError(thrown: unknown): WireError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: cut(String(thrown)) };
  const { code } = thrown as { code?: unknown };
  const remote = thrown instanceof RemoteError ? thrown : undefined;
  const named = remote?.remoteCode ?? (typeof code === 'string' ? code : undefined);
  const stack = remote?.remoteStack ?? thrown.stack;
  return {
    name: remote?.remoteName ?? thrown.name,
    message: cut(thrown.message),
    ...(named !== undefined && !(remote && remote.remoteCode === undefined) && { code: named }),
    ...(stack !== undefined && { stack: cut(stack) }),
    ...(thrown instanceof ActorDiedError && {
      actor: thrown.actor,
      deathCause: thrown.deathCause,
    }),
    ...(thrown instanceof InvalidInputError && { issues: thrown.issues }),
    ...(thrown instanceof ObjectLostError && { objectLoss: thrown.reason }),
  };
}

/** The error to throw on this side: Codistill's own class where the code names one, else RemoteError. */
export function fromWireError(error: WireError): Error {
  if (error.deathCause !== undefined) {
    return new ActorDiedError(error.message, error.actor ?? '', error.deathCause);
  }
  if (error.issues !== undefined) return new InvalidInputError(error.message, error.issues);
  if (error.objectLoss !== undefined) return new ObjectLostError(error.message, error.objectLoss);
  const Known = error.code === undefined ? undefined : knownErrors.get(error.code);
  if (Known !== undefined) {
    const known = new Known(error.message);
    if (error.stack !== undefined) known.stack = `${error.stack}\n    -- from another process --`;
    return known;
  }
  return new RemoteError(error.message, error);
}

const knownErrors: ReadonlyMap<string, new (message: string) => CodistillError> = new Map(
  [
    BusClosedError,
    BusUnavailableError,
    DamagedDataError,
    DeadlineError,
    MailboxFullError,
    NameTakenError,
    NoResponderError,
    ObjectStoreFullError,
    PayloadTooLargeError,
    PlacementError,
    QueueClosedError,
    UnknownActorTypeError,
    UnknownMethodError,
    UserInputError,
  ].map((Known) => [new Known('').code, Known]),
);

export const deathCauseSchema: v.GenericSchema<unknown, DeathCause> = v.object({
  kind: v.picklist(['exit', 'signal', 'error', 'node-lost', 'fenced', 'stopped']),
  exitCode: v.exactOptional(v.number()),
  signal: v.exactOptional(v.string()),
  message: v.string(),
  rssBytes: v.exactOptional(v.number()),
  lastOutput: v.array(v.string()),
});

const issueSchema = v.object({
  message: v.string(),
  path: v.array(v.union([v.string(), v.number()])),
});

export const wireErrorSchema: v.GenericSchema<unknown, WireError> = v.object({
  name: v.string(),
  message: v.string(),
  code: v.exactOptional(v.string()),
  stack: v.exactOptional(v.string()),
  actor: v.exactOptional(v.string()),
  deathCause: v.exactOptional(deathCauseSchema),
  issues: v.exactOptional(v.array(issueSchema)),
  objectLoss: v.exactOptional(v.picklist(['freed', 'owner-died', 'damaged'])),
});

function cut(text: string): string {
  return text.length <= TEXT_CHARACTERS_MAX ? text : `${text.slice(0, TEXT_CHARACTERS_MAX)}…`;
}
