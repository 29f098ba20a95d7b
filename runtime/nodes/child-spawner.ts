import { DamagedDataError, UnknownActorTypeError } from '../../errors.ts';
import type { ActorDefinition, AnyActorDefinition } from '../actor.ts';
import { requestControl } from '../calls/control.ts';
import { type Endpoint, encodeCarrying, openCarried } from '../calls/endpoint.ts';
import { type ActorAddress, type CallPath, packHandles, unpackHandles } from '../calls/handle.ts';
import { subjects } from '../wire/address.ts';
import type { SpawnMessage } from '../wire/life-messages.ts';
import { encodeMessage, type WireMessage } from '../wire/wire.ts';
import { checkForeignEnvironment } from './foreign-environment.ts';
import { START_TIMEOUT_MS } from './node.ts';
import type { SpawnOptions } from './spawn-options.ts';
import type { Spawned, Supervisor } from './supervisor.ts';

/** An answer may be late by the grace that a stopped actor gets. */
const STOP_ANSWER_MS = 5_000;
/** Requests of one parent that are remembered, in case they come again. */
const REQUESTS_KEPT = 1024;

/** What an actor's own spawning goes through. Children end when `parent`, an incarnation, does. */
export interface ChildSpawner {
  spawn<Options, Actor>(
    definition: ActorDefinition<Options, Actor>,
    options: Options,
    spawnOptions: SpawnOptions,
    parent: string,
  ): Promise<Spawned>;
  stop(address: ActorAddress, timeoutMs: number): Promise<void>;
}

/** For actors in processes of their own: asks the supervisor of their node, over the bus. */
export function createRemoteSpawner(endpoint: Endpoint): ChildSpawner {
  const subject = subjects.node(endpoint.namespace, endpoint.nodeId);
  let lastRequest = 0;
  return {
    async spawn(definition, options, spawnOptions, parent) {
      lastRequest += 1;
      const request = lastRequest;
      const { type, module } = definition;
      const value = packHandles([options, spawnOptions], { forMs: START_TIMEOUT_MS });
      const timeoutMs = START_TIMEOUT_MS;
      const message = { kind: 'spawn', parent, request, type, module, value } as const;
      const parcel = encodeCarrying(endpoint.bus, message, timeoutMs);
      const answer = await requestControl(endpoint, subject, 'spawned', parcel, { timeoutMs });
      const { name, owner, owned } = answer;
      const methods = definition.methods as ActorAddress['methods'];
      return { address: { name, owner, type, methods }, owned };
    },
    async stop({ name }, timeoutMs) {
      const parcel = { bytes: encodeMessage({ kind: 'stop-child', name, timeoutMs }) };
      const waitMs = timeoutMs + STOP_ANSWER_MS;
      await requestControl(endpoint, subject, 'done', parcel, { timeoutMs: waitMs });
    },
  };
}

export interface ChildSpawnsOptions {
  readonly endpoint: Endpoint;
  readonly path: CallPath;
  readonly supervisor: Supervisor;
  /** Variables that others may set here, besides those that they may anywhere. */
  readonly allowEnvironment: readonly string[];
  /** The definition of a type, if this node may make actors of `module`. */
  find(module: string, type: string): Promise<AnyActorDefinition | undefined>;
}

/** The node's side: spawns what actors on it ask for, once for each request. */
export class ChildSpawns {
  readonly #options: ChildSpawnsOptions;
  readonly #answers = new Map<string, Map<number, Promise<WireMessage>>>();

  constructor(options: ChildSpawnsOptions) {
    this.#options = options;
  }

  answer(message: SpawnMessage): Promise<WireMessage> {
    const answers = this.#answers.get(message.parent) ?? new Map<number, Promise<WireMessage>>();
    this.#answers.set(message.parent, answers);
    const known = answers.get(message.request);
    if (known !== undefined) return known;
    const answer = this.#spawn(message);
    answers.set(message.request, answer);
    if (answers.size > REQUESTS_KEPT) answers.delete(answers.keys().next().value!);
    return answer;
  }

  /** The parent is gone and asks no more. */
  forget(parent: string): void {
    this.#answers.delete(parent);
  }

  async #spawn(message: SpawnMessage): Promise<WireMessage> {
    const { endpoint, path, supervisor, find, allowEnvironment } = this.#options;
    const { parent, type, module } = message;
    const definition = await find(module, type);
    if (definition === undefined) {
      throw new UnknownActorTypeError(
        `${parent} can't spawn an actor of type ${type}: its module is none of this node's; ` +
          'name it among the modules of the job, of createSystem or of actorctl node',
      );
    }
    const timeoutMs = START_TIMEOUT_MS;
    const value = unpackHandles(await openCarried(endpoint.bus, message, { timeoutMs }), path);
    if (!Array.isArray(value)) throw new DamagedDataError('a spawn message is malformed');
    const [options, spawnOptions] = value as [never, SpawnOptions];
    // Whoever is on the bus can send this, and on a local one that is this user only.
    if (endpoint.bus.kind !== 'local') {
      checkForeignEnvironment(spawnOptions?.environment, allowEnvironment);
    }
    const spawned = await supervisor.spawn(definition, options, spawnOptions, parent);
    const { address, owned } = spawned;
    return { kind: 'spawned', name: address.name, owner: address.owner, owned };
  }
}
