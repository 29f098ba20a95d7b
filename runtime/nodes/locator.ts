import { type DeathCause, PlacementError } from '../../errors.ts';
import { requestControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import type { ActorAddress } from '../calls/handle.ts';
import { subjects } from '../wire/address.ts';
import type { StateMessage } from '../wire/life-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import type { OwnedActors } from './owned-actors.ts';

const TIMEOUT_MS = 15_000;

export interface LocatorOptions {
  readonly endpoint: Endpoint;
  readonly actors: OwnedActors;
  /** Whether this node answers as the owner of the detached actor `name`. */
  serves(name: string): boolean;
}

/** How and where actors are: own ones from what their owner knows, others by asking theirs. */
export class Locator {
  readonly #options: LocatorOptions;

  constructor(options: LocatorOptions) {
    this.#options = options;
  }

  /** The state of an actor, as told to callers. */
  locate(name: string): StateMessage {
    const { actors, endpoint } = this.#options;
    const actor = actors.get(name);
    if (actor !== undefined) return actor.state;
    const owner = endpoint.nodeId;
    const message = `node ${owner} owns no actor ${name}`;
    const cause: DeathCause = { kind: 'error', message, lastOutput: [] };
    return {
      kind: 'state',
      owner,
      name,
      version: 1,
      status: 'dead',
      epoch: 0,
      nodeId: owner,
      cause,
    };
  }

  /** The state for callers in this process; undefined for actors of other owners. */
  locateHere({ name, owner }: ActorAddress): StateMessage | undefined {
    const own = owner === this.#options.endpoint.nodeId || this.#options.serves(name);
    return own ? this.locate(name) : undefined;
  }

  /** The node on which an actor of any owner lives. @throws PlacementError when it is dead. */
  async whereIs(address: ActorAddress, timeoutMs = TIMEOUT_MS): Promise<string> {
    const state = this.locateHere(address) ?? (await this.#askOwner(address, timeoutMs));
    if (state.status !== 'dead') return state.nodeId;
    const cause = state.cause?.message ?? 'for an unknown cause';
    throw new PlacementError(`actor ${address.name} that it must be beside is dead: ${cause}`);
  }

  async #askOwner({ name, owner }: ActorAddress, timeoutMs: number): Promise<StateMessage> {
    const { endpoint } = this.#options;
    const subject = subjects.locate(endpoint.namespace, owner);
    const parcel = { bytes: encodeMessage({ kind: 'locate', name }) };
    return requestControl(endpoint, subject, 'state', parcel, { timeoutMs });
  }
}
