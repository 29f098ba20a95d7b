import type { Endpoint } from '../calls/endpoint.ts';
import { type ClockTimer, repeat } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import type { StartMessage } from '../wire/life-messages.ts';
import type { RecordedCall } from '../wire/node-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import { type Around, whenSettled } from './tracing.ts';
import { watchItems } from './watched-items.ts';

const SEND_MS = 1_000;
/** Between two sendings; further calls are only counted. */
const CALLS_MAX = 5_000;

interface NotedCall {
  readonly method: string;
  readonly at: number;
  readonly ranMs: number;
  readonly failed: boolean;
  /** Of a stream. */
  readonly items: number | undefined;
}

/** Notes when an actor's calls and streams ran and sends that to the actor's owner, once a second and at the end. */
export class CallRecorder {
  readonly #endpoint: Endpoint;
  readonly #start: StartMessage;
  readonly #sending: ClockTimer;
  #calls: NotedCall[] = [];
  #omitted = 0;

  constructor(endpoint: Endpoint, start: StartMessage) {
    this.#endpoint = endpoint;
    this.#start = start;
    this.#sending = repeat(endpoint.clock, SEND_MS, () => this.#send());
  }

  readonly around: Around = {
    call: ({ method }, run) => {
      const at = this.#endpoint.clock.now();
      return whenSettled(run, (error) => this.#note(method, at, error));
    },
    stream: ({ method }, open) => {
      const at = this.#endpoint.clock.now();
      return watchItems(open, {
        within: (run) => run(),
        ended: (items, error) => this.#note(method, at, error, items),
      });
    },
  };

  close(): void {
    this.#sending.cancel();
    this.#send();
  }

  #note(method: string, at: number, error: unknown, items?: number): void {
    const ranMs = this.#endpoint.clock.now() - at;
    if (this.#calls.length >= CALLS_MAX) this.#omitted += 1;
    else this.#calls.push({ method, at, ranMs, failed: error !== undefined, items });
  }

  #send(): void {
    const { bus, clock, link, namespace, nodeId } = this.#endpoint;
    const { name, type, epoch, owner, lessor } = this.#start;
    if (this.#calls.length === 0 || !link.usable) return;
    const now = clock.now();
    const calls = this.#calls.map(({ method, at, ranMs, failed, items }): RecordedCall => {
      return items === undefined
        ? [method, now - at, ranMs, failed]
        : [method, now - at, ranMs, failed, items];
    });
    const actor = { actor: name, actorType: type, epoch, node: nodeId };
    const omitted = this.#omitted;
    const message = encodeMessage({ kind: 'recorded', ...actor, calls, omitted });
    // A detached actor is its own owner; the node that answers for it is its lessor.
    bus.publish(subjects.node(namespace, lessor ?? owner), message);
    this.#calls = [];
    this.#omitted = 0;
  }
}

/** Both, the first one outside; undefined for none. */
export function nestAround(
  outer: Around | undefined,
  inner: Around | undefined,
): Around | undefined {
  if (outer === undefined || inner === undefined) return outer ?? inner;
  return {
    call: (message, run) => outer.call(message, () => inner.call(message, run)),
    stream: (message, open) => outer.stream(message, () => inner.stream(message, open)),
  };
}
