import type { ItemMessage } from '../wire/call-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import { toWireError } from '../wire/wire-error.ts';
import type { StreamOutlet } from './stream-producer.ts';

export interface OutletOptions {
  /** Names the stream to its reader, with `seq`. */
  readonly of: string;
  readonly seq: number;
  encode(item: ItemMessage): Uint8Array;
  publish(bytes: Uint8Array): void;
  onClose(): void;
}

/** Items and the end of a stream, as messages to its one reader. */
export function createOutlet({ of, seq, encode, publish, onClose }: OutletOptions): StreamOutlet {
  const send = (bytes: Uint8Array): Uint8Array => {
    publish(bytes);
    return bytes;
  };
  return {
    sendItem: (index, value) => send(encode({ kind: 'item', of, seq, index, value })),
    sendEnd: (index, error) => {
      const failure = error === undefined ? {} : { error: toWireError(error) };
      return send(encodeMessage({ kind: 'end', of, seq, index, ...failure }));
    },
    resend: publish,
    onClose,
  };
}
