import { DamagedDataError } from '../../errors.ts';
import type { ReplicatedCheckpoints } from '../registry/replicated-checkpoints.ts';
import type { CheckpointMessage } from '../wire/life-messages.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { OwnedActor } from './owned-actor.ts';
import type { OwnedActors } from './owned-actors.ts';

export interface OwnedCheckpointsOptions {
  readonly actors: OwnedActors;
  readonly checkpoints: CheckpointStore;
  /** For detached actors; absent where nothing outlives this process. */
  readonly replicated: ReplicatedCheckpoints | undefined;
}

/** What an owner keeps of the states of its actors: each from its present life, for its next one. */
export class OwnedCheckpoints {
  readonly #options: OwnedCheckpointsOptions;

  constructor(options: OwnedCheckpointsOptions) {
    this.#options = options;
  }

  /** @throws DamagedDataError for an incarnation that is no longer the living one. */
  async save(message: CheckpointMessage, state: unknown): Promise<void> {
    const { name, incarnation, secret, number } = message;
    const { actors, checkpoints, replicated } = this.#options;
    const actor = actors.get(name);
    if (actor === undefined || actor.incarnation !== incarnation || actor.status === 'dead') {
      throw new DamagedDataError(`${incarnation} was replaced; its checkpoint is not wanted`);
    }
    if (actor.secret !== secret) {
      throw new DamagedDataError(`a checkpoint of ${incarnation} has not its secret`);
    }
    if (!(state instanceof Uint8Array)) {
      throw new DamagedDataError(`the checkpoint of ${incarnation} is no frame`);
    }
    await actor.saveOnce(number, async () => {
      await checkpoints.save(name, state);
      if (actor.detached) await replicated?.save(name, actor.epoch, state);
    });
    actor.hasCheckpoint = true;
  }

  async load(actor: OwnedActor): Promise<Uint8Array | undefined> {
    if (!actor.hasCheckpoint) return undefined;
    const { name } = actor.address;
    const { replicated, checkpoints } = this.#options;
    const shared = actor.detached ? await replicated?.load(name, actor.epoch) : undefined;
    if (shared !== undefined || (actor.detached && !actor.plan.resume)) return shared;
    return checkpoints.load(name);
  }

  /** A detached actor is dead for good. */
  async remove({ address }: OwnedActor): Promise<void> {
    await this.#options.replicated?.remove(address.name);
  }
}
