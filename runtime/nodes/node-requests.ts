import { PlacementError, UnknownActorTypeError } from '../../errors.ts';
import type { AnyActorDefinition } from '../actor.ts';
import type { Bus } from '../bus/bus.ts';
import { type Endpoint, openCarried } from '../calls/endpoint.ts';
import { type ActorCalls, timeCalls } from '../observe/actor-calls.ts';
import { parseStartValue, type StartMessage } from '../wire/life-messages.ts';
import type { WireMessage } from '../wire/wire.ts';
import type { Adoption } from './adoption.ts';
import type { ChildSpawns } from './child-spawner.ts';
import { checkForeignEnvironment } from './foreign-environment.ts';
import type { Leases } from './leases.ts';
import type { Membership } from './membership.ts';
import type { Names } from './names.ts';
import { type Node, START_TIMEOUT_MS } from './node.ts';
import type { ProcessPool } from './process-pool.ts';
import type { Supervisor } from './supervisor.ts';

const CHECKPOINT_FETCH_MS = 300_000;

export interface NodeRequestsOptions {
  readonly endpoint: Endpoint;
  readonly nodeName: string;
  readonly allowEnvironment: readonly string[];
  /** What may be instantiated for other owners, by type. */
  readonly definitions: ReadonlyMap<string, AnyActorDefinition>;
  readonly pool: ProcessPool | undefined;
  readonly node: Node;
  readonly supervisor: Supervisor;
  readonly membership: Membership;
  readonly names: Names;
  readonly leases: Leases;
  readonly adoption: Adoption | undefined;
  readonly childSpawns: ChildSpawns;
  isDraining(): boolean;
  readonly onCalls: ((calls: ActorCalls) => void) | undefined;
  onLeave(timeoutMs: number): void;
}

/** What a host process is asked on its node's subject, and those of the detached actors here. */
export class NodeRequests {
  readonly #options: NodeRequestsOptions;

  constructor(options: NodeRequestsOptions) {
    this.#options = options;
  }

  /** A question that changes nothing: who has a name, and how an actor of this owner is. */
  async locate(message: WireMessage): Promise<WireMessage | undefined> {
    const { supervisor, names } = this.#options;
    if (message.kind === 'locate') return supervisor.locator.locate(message.name);
    if (message.kind !== 'lookup') return undefined;
    const address = await names.find(message.name);
    return { kind: 'found', ...(address && { address }) };
  }

  /** What came on `bus`; undefined is no answer. */
  async answer(message: WireMessage, bus: Bus): Promise<WireMessage | undefined> {
    const { supervisor, membership, names, node } = this.#options;
    switch (message.kind) {
      case 'start':
        return this.#startForeign(message);
      case 'spawn':
        return this.#options.childSpawns.answer(message);
      case 'stop-child':
        await supervisor.stop(message.name, message.timeoutMs);
        break;
      case 'ready':
        this.#options.pool?.noteReady(message.processId, message.secret);
        break;
      case 'move':
        await supervisor.move(message.name, message.incarnation, message.timeoutMs);
        break;
      case 'leave':
        this.#options.onLeave(message.timeoutMs);
        break;
      case 'look':
        this.#options.adoption?.lookEverywhere(message.gone);
        break;
      case 'end-actor': {
        const { name, timeoutMs, epoch } = message;
        if (epoch !== undefined && epoch !== supervisor.locator.locate(name).epoch) break;
        // Who names the life is that life itself.
        const why = epoch === undefined ? undefined : 'it ended by itself, with its job';
        await supervisor.stop(name, timeoutMs, why);
        // Whoever asked may want the name for another actor.
        await names.freed(name);
        break;
      }
      case 'heartbeat':
        membership.greet(message);
        return undefined;
      case 'lease':
        membership.hear(message.nodeId);
        return this.#grantLease(message.nodeId);
      case 'kill':
        node.kill(message.incarnation);
        break;
      case 'recorded':
        this.#options.onCalls?.(timeCalls(message, this.#options.endpoint.clock.now()));
        break;
      case 'exited':
        supervisor.hearExit(message);
        break;
      case 'checkpoint': {
        const timeoutMs = CHECKPOINT_FETCH_MS;
        const state = await openCarried(bus, message, { timeoutMs });
        await supervisor.checkpoints.save(message, state);
        break;
      }
      default:
        return undefined;
    }
    return { kind: 'done' };
  }

  /** A node that still runs what was replaced gets no word that would hold for that as well. */
  #grantLease(nodeId: string): WireMessage {
    const { supervisor, leases, membership } = this.#options;
    // One that is lost, and any stranger: nothing of ours that lives there is meant to.
    if (!membership.isAlive(nodeId)) return { kind: 'leased', remainingMs: 0, grant: '' };
    const remainingMs = supervisor.isClear(nodeId) ? leases.grant(nodeId) : 0;
    return { kind: 'leased', remainingMs, grant: leases.idFor(nodeId) };
  }

  /** Another owner wants an actor here: only types of this node's own modules are made. */
  async #startForeign(start: StartMessage): Promise<WireMessage> {
    const { definitions, nodeName, endpoint, node } = this.#options;
    // A refusal says that nothing was started: not of a life whose order comes once more.
    if (this.#options.isDraining() && !node.wasOrdered(start)) {
      throw new PlacementError('it is about to leave');
    }
    checkForeignEnvironment(start.environment, this.#options.allowEnvironment);
    const definition = definitions.get(start.type);
    if (definition === undefined) {
      const known = [...definitions.keys()].join(', ') || 'none';
      throw new UnknownActorTypeError(
        `node ${nodeName} was started without a module for actor type ${start.type}; ` +
          `it has: ${known}`,
      );
    }
    const timeoutMs = START_TIMEOUT_MS;
    const value = parseStartValue(await openCarried(endpoint.bus, start, { timeoutMs }));
    const { value: _value, chunks: _chunks, ...order } = start;
    return { kind: 'started', pid: await node.start(order, definition, value) };
  }
}
