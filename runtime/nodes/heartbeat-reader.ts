import * as v from 'valibot';
import { decodeFrame } from '../wire/frame.ts';
import type { HeartbeatMessage } from '../wire/node-messages.ts';
import { decodeMessage, PROTOCOL_VERSION } from '../wire/wire.ts';

const REFUSED_MAX = 4096;

/** Reads the heartbeats of other nodes, and notes who speaks another protocol version. */
export class HeartbeatReader {
  readonly #refused = new Map<string, string>();
  readonly #onRefused: (why: string) => void;

  /** `onRefused` is told once of each node. */
  constructor(onRefused: (why: string) => void) {
    this.#onRefused = onRefused;
  }

  /** Nodes that announced themselves with another protocol version, in words. */
  get refusals(): readonly string[] {
    return [...this.#refused.values()];
  }

  /** Undefined for what is no heartbeat of this version. */
  read(data: Uint8Array): HeartbeatMessage | undefined {
    try {
      const greeting = v.parse(greetingSchema, decodeFrame(data));
      if (greeting.protocol === PROTOCOL_VERSION) {
        const message = decodeMessage(data);
        return message.kind === 'heartbeat' ? message : undefined;
      }
      this.#refuse(greeting);
    } catch {
      // Not a heartbeat at all.
    }
    return undefined;
  }

  #refuse({ nodeId, nodeName, protocol }: Greeting): void {
    if (this.#refused.has(nodeId) || this.#refused.size >= REFUSED_MAX) return;
    const why =
      `node ${nodeName} (${nodeId}) speaks protocol version ${protocol}, this one ` +
      `${PROTOCOL_VERSION}: install the same codistill on both`;
    this.#refused.set(nodeId, why);
    this.#onRefused(why);
  }
}

/** What every version of the protocol starts its heartbeats with. */
const greetingSchema = v.object({
  kind: v.literal('heartbeat'),
  protocol: v.number(),
  nodeId: v.string(),
  nodeName: v.string(),
});
type Greeting = v.InferOutput<typeof greetingSchema>;
