import type { Endpoint } from '../calls/endpoint.ts';
import { type ClockTimer, repeat } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import type { StartMessage } from '../wire/life-messages.ts';
import type { RecordedCall } from '../wire/node-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import { type AroundCall, whenSettled } from './tracing.ts';

const SEND_MS = 1_000;
/** Between two sendings; further calls are only counted. */
const CALLS_MAX = 5_000;

/** Notes when an actor's calls ran and sends that to the actor's owner, once a second and at the end. */
export class CallRecorder {
  readonly #endpoint: Endpoint;
  readonly #start: StartMessage;
  readonly #sending: ClockTimer;
  #calls: { readonly method: string; readonly at: number; ranMs: number; failed: boolean }[] = [];
  #omitted = 0;

  constructor(endpoint: Endpoint, start: StartMessage) {
    this.#endpoint = endpoint;
    this.#start = start;
    this.#sending = repeat(endpoint.clock, SEND_MS, () => this.#send());
  }

  readonly around: AroundCall = ({ method }, run) => {
    const { clock } = this.#endpoint;
    const at = clock.now();
    return whenSettled(run, (error) => {
      if (this.#calls.length >= CALLS_MAX) this.#omitted += 1;
      else this.#calls.push({ method, at, ranMs: clock.now() - at, failed: error !== undefined });
    });
  };

  close(): void {
    this.#sending.cancel();
    this.#send();
  }

  #send(): void {
    const { bus, clock, link, namespace, nodeId } = this.#endpoint;
    const { name, type, epoch, owner, lessor } = this.#start;
    if (this.#calls.length === 0 || !link.usable) return;
    const now = clock.now();
    const calls = this.#calls.map(({ method, at, ranMs, failed }): RecordedCall => {
      return [method, now - at, ranMs, failed];
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
  outer: AroundCall | undefined,
  inner: AroundCall | undefined,
): AroundCall | undefined {
  if (outer === undefined || inner === undefined) return outer ?? inner;
  return (message, run) => outer(message, () => inner(message, run));
}
