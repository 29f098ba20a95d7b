import * as v from 'valibot';
import { DamagedDataError } from '../../errors.ts';
import {
  type CallMessage,
  type CancelMessage,
  type CreditMessage,
  callMessageSchemas,
  type EndMessage,
  type ItemMessage,
  type ProbeMessage,
  type ProgressMessage,
  type ReplyMessage,
} from './call-messages.ts';
import { decodeEnveloped, encodeEnveloped, isEnveloped } from './envelope.ts';
import { decodeFrame, encodeFrame } from './frame.ts';
import {
  type CheckpointMessage,
  type DrainMessage,
  type EndActorMessage,
  type ExitedMessage,
  type KillMessage,
  type LocateMessage,
  lifeMessageSchemas,
  type MoveMessage,
  type ReadyMessage,
  type SpawnedMessage,
  type SpawnMessage,
  type StartedMessage,
  type StartMessage,
  type StateMessage,
  type StopChildMessage,
  type StopMessage,
} from './life-messages.ts';
import {
  type DoneMessage,
  type EventMessage,
  type FailedMessage,
  type FoundMessage,
  type HeartbeatMessage,
  type InspectionMessage,
  type InspectMessage,
  type LeasedMessage,
  type LeaseMessage,
  type LeaveMessage,
  type LookMessage,
  type LookupMessage,
  nodeMessageSchemas,
  type PingMessage,
  type PongMessage,
  type RecordedMessage,
  type RollCallMessage,
} from './node-messages.ts';
import {
  type ObjectCheckMessage,
  type ObjectFetchMessage,
  type ObjectLeasesMessage,
  type ObjectPutMessage,
  type ObjectStoredMessage,
  objectMessageSchemas,
} from './object-messages.ts';
import {
  type RegisterChangeMessage,
  type RegisteredMessage,
  type RegisterMessage,
  registerMessageSchemas,
} from './register-messages.ts';

/** Raised with every change that an older node would misread; nodes of another version are refused. */
export const PROTOCOL_VERSION = 3;

/** Everything that travels on the subjects of ARCHITECTURE.md; the kinds of one matter share a file. */
export type WireMessage =
  | CallMessage
  | CancelMessage
  | CreditMessage
  | ProbeMessage
  | PingMessage
  | DrainMessage
  | StopMessage
  | ReplyMessage
  | ItemMessage
  | EndMessage
  | ProgressMessage
  | StateMessage
  | LocateMessage
  | StartMessage
  | StartedMessage
  | LeaseMessage
  | LeasedMessage
  | MoveMessage
  | LeaveMessage
  | LookMessage
  | RollCallMessage
  | LookupMessage
  | FoundMessage
  | EndActorMessage
  | KillMessage
  | ExitedMessage
  | CheckpointMessage
  | ReadyMessage
  | SpawnMessage
  | SpawnedMessage
  | StopChildMessage
  | InspectMessage
  | InspectionMessage
  | EventMessage
  | RecordedMessage
  | DoneMessage
  | FailedMessage
  | PongMessage
  | HeartbeatMessage
  | RegisterMessage
  | RegisteredMessage
  | RegisterChangeMessage
  | ObjectPutMessage
  | ObjectStoredMessage
  | ObjectFetchMessage
  | ObjectCheckMessage
  | ObjectLeasesMessage;

/** @throws TypeError or RangeError when the message carries what a frame can't. */
export function encodeMessage(message: WireMessage): Uint8Array {
  const { kind } = message;
  return kind === 'call' || kind === 'reply' || kind === 'item'
    ? encodeEnveloped(message)
    : encodeFrame(message);
}

/** @throws DamagedDataError for what is no message of this protocol. */
export function decodeMessage(bytes: Uint8Array): WireMessage {
  if (isEnveloped(bytes)) {
    const message = decodeEnveloped(bytes);
    if (message !== undefined) return message;
    throw notOurs('its envelope is that of no call, reply or item');
  }
  const parsed = v.safeParse(messageSchema, decodeFrame(bytes), { abortEarly: true });
  if (parsed.success) return parsed.output;
  throw notOurs(parsed.issues[0].message);
}

function notOurs(reason: string): DamagedDataError {
  return new DamagedDataError(
    `a message is none of protocol version ${PROTOCOL_VERSION}: ${reason}; ` +
      'do all processes run the same version of codistill?',
  );
}

const messageSchema: v.GenericSchema<unknown, WireMessage> = v.variant('kind', [
  ...callMessageSchemas,
  ...lifeMessageSchemas,
  ...nodeMessageSchemas,
  ...registerMessageSchemas,
  ...objectMessageSchemas,
]);
