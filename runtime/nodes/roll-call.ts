import type { Subscription } from '../bus/bus.ts';
import { serveControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { delay } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import { encodeMessage } from '../wire/wire.ts';

/** For answers; who answers later counts as well. */
const ANSWERS_MS = 300;
/** Who was heard is known for a while. */
const FRESH_MS = 5_000;

/** Asks all nodes of a namespace who they are, and answers when others ask. */
export class RollCall {
  readonly #endpoint: Endpoint;
  readonly #serving: Subscription;
  #calling: Promise<void> | undefined;
  #calledAt = Number.NEGATIVE_INFINITY;

  /** `introduceTo` tells a node that asked who this one is. */
  constructor(endpoint: Endpoint, introduceTo: (nodeId: string) => void) {
    this.#endpoint = endpoint;
    this.#serving = serveControl(endpoint.bus, subjects.rollCall(endpoint.namespace), (message) => {
      if (message.kind === 'roll-call') introduceTo(message.nodeId);
      return undefined;
    });
  }

  /** Resolves when all have had time to answer, lately or now. */
  async call(): Promise<void> {
    const { clock, bus, namespace, nodeId } = this.#endpoint;
    if (this.#calling === undefined) {
      if (clock.now() - this.#calledAt < FRESH_MS) return;
      this.#calledAt = clock.now();
      bus.publish(subjects.rollCall(namespace), encodeMessage({ kind: 'roll-call', nodeId }));
      this.#calling = delay(clock, ANSWERS_MS).finally(() => {
        this.#calling = undefined;
      });
    }
    await this.#calling;
  }

  close(): void {
    this.#serving.unsubscribe();
  }
}
