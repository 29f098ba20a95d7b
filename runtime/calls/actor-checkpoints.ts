import { subjects } from '../wire/address.ts';
import { encodeFrame } from '../wire/frame.ts';
import type { StartMessage } from '../wire/life-messages.ts';
import { requestControl } from './control.ts';
import { type Endpoint, encodeCarrying } from './endpoint.ts';
import { packHandles } from './handle.ts';

/** A large state over a slow link takes its time. */
const CHECKPOINT_TIMEOUT_MS = 300_000;

export interface ActorCheckpointsOptions {
  readonly endpoint: Endpoint;
  /** The way to the actor's own node that needs no server, where the bus is another one. */
  readonly home: Endpoint | undefined;
  readonly start: StartMessage;
  readonly incarnation: string;
  /** Aborts when the actor is stopped. */
  readonly signal: AbortSignal;
  /** What the next life is to begin with. @throws TypeError when the actor has no such thing. */
  state(): Promise<unknown>;
}

/** Sends the states of one life of an actor to its owner, who keeps them for the next one. */
export class ActorCheckpoints {
  readonly #options: ActorCheckpointsOptions;
  #saving: Promise<void> = Promise.resolve();
  #number = 0;

  constructor(options: ActorCheckpointsOptions) {
    this.#options = options;
  }

  /** One after another: the later state must also be the later one in the store. */
  save(): Promise<void> {
    const saved = this.#saving.then(() => this.#send());
    this.#saving = saved.catch(() => {});
    return saved;
  }

  async #send(): Promise<void> {
    const { start, incarnation, signal, state } = this.#options;
    const value = encodeFrame(packHandles(await state()));
    const timeoutMs = CHECKPOINT_TIMEOUT_MS;
    const { name, owner, secret } = start;
    this.#number += 1;
    const number = this.#number;
    const endpoint = this.#wayTo(owner);
    const message = { kind: 'checkpoint', incarnation, secret, name, number, value } as const;
    const parcel = encodeCarrying(endpoint.bus, message, timeoutMs);
    const subject = subjects.node(endpoint.namespace, owner);
    // An owner that was cut off comes back; one that is gone takes this actor along.
    const options = { timeoutMs, absentMs: timeoutMs, signal };
    await requestControl(endpoint, subject, 'done', parcel, options);
  }

  /** A state reaches an owner on this host also while the server is away. */
  #wayTo(nodeId: string): Endpoint {
    const { endpoint, home } = this.#options;
    return home !== undefined && nodeId === endpoint.nodeId ? home : endpoint;
  }
}
