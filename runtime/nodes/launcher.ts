import {
  DeadlineError,
  NoResponderError,
  PlacementError,
  UnknownActorTypeError,
} from '../../errors.ts';
import { requestControl } from '../calls/control.ts';
import { type Endpoint, encodeCarrying } from '../calls/endpoint.ts';
import type { ActorAddress } from '../calls/handle.ts';
import { delay } from '../clock.ts';
import { subjects } from '../wire/address.ts';
import type { StartMessage, StartValue } from '../wire/life-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import { type Node, START_TIMEOUT_MS } from './node.ts';
import type { OwnedActor } from './owned-actor.ts';
import type { OwnedActors } from './owned-actors.ts';
import {
  describeRefusals,
  isUnsurpassed,
  type NodeInfo,
  type OwnActors,
  type Placement,
  type PlacementRequest,
  type Refusal,
  rankNodes,
  refusalOf,
} from './placement.ts';

const KILL_TIMEOUT_MS = 5_000;
/** Who looks over orphans doesn't wait longer for the owner of one that they have to be beside. */
const PLACES_ASK_MS = 2_000;
/** Incarnations remembered for each node. */
const FENCED_MAX = 16_384;

export interface LauncherOptions {
  readonly endpoint: Endpoint;
  /** This process's own node. */
  readonly node: Node;
  nodes(): readonly NodeInfo[];
  /** There are no others than those of `nodes`. */
  knowsAllNodes(): boolean;
  /** Afterwards `nodes` has all of them for a while. */
  rollCall(): Promise<void>;
  /** Why some nodes don't count. */
  refusals(): readonly string[];
  /** Actors are to tell when their calls ran. */
  readonly recordCalls: boolean;
  /** Of this owner. */
  readonly actors: OwnedActors;
  /** Others may be on the bus: only who is granted a lease there may act. */
  readonly shared: boolean;
  /** A life is about to begin; what it throws prevents that. */
  beforeLife(actor: OwnedActor): Promise<void>;
  /** An actor with a name is about to live on another host. */
  beforeLending(): Promise<void>;
  /** The state that the actor's next life goes on from. */
  loadCheckpoint(actor: OwnedActor): Promise<Uint8Array | undefined>;
  /** How long a node that isn't reached may still let our actors act. */
  outstandingMs(nodeId: string): number;
  /** Under which id actors on a node get our word. */
  grantIdFor(nodeId: string): string;
  /** No actor of ours that lives there now gets our word any more. */
  revoke(nodeId: string): void;
  /** A word that nobody can guess. */
  createSecret(): string;
  /** The node on which an actor of any owner lives. @throws PlacementError when it is dead. */
  whereIs(actor: ActorAddress, timeoutMs?: number): Promise<string>;
}

/** What decides where an actor can live. */
type Placeable = Pick<OwnedActor, 'plan' | 'address'>;

/** Brings an owner's actors to nodes, this one or others, and ends what must not live on there. */
export class Launcher {
  readonly #options: LauncherOptions;
  /** Incarnations that are to end on nodes that did not answer, as long as those are not lost. */
  readonly #fenced = new Map<string, Set<string>>();
  readonly #clearing = new Set<string>();

  constructor(options: LauncherOptions) {
    this.#options = options;
  }

  /**
   * Starts the actor's present epoch on the best node that takes it.
   * @throws PlacementError with each node's reason, or what creating the actor threw.
   */
  async launch(actor: OwnedActor): Promise<void> {
    const { name, type } = actor.address;
    const state = await this.#options.loadCheckpoint(actor);
    const value: StartValue = {
      ...(actor.options !== undefined && { options: actor.options }),
      ...(state && { state }),
    };
    const request = await this.#request(actor);
    const others = this.#othersThan(actor);
    if (!this.#knowsBest(request, others)) await this.#options.rollCall();
    // From here to `beginLife` nothing waits: of several that are placed at once each sees where the one before went.
    const ranked = rankNodes(request, this.#options.nodes(), others);
    const strangers = this.#options.refusals().map((reason) => ({ reason }));
    const refusals: Refusal[] = [...ranked.refusals, ...strangers];
    for (const node of ranked.nodes) {
      // While the nodes before it were tried, other actors have been placed.
      const reason = refusalOf(request, node, others);
      if (reason !== undefined) {
        refusals.push({ node, reason });
        continue;
      }
      actor.beginLife(node.nodeId, this.#options.createSecret());
      await this.#options.beforeLife(actor);
      if (actor.named && !node.self) await this.#options.beforeLending();
      try {
        actor.pid = await this.#startOn(node, actor, value);
        if (actor.exitedEarly) throw new Error(`it died at once: ${actor.exitedEarly.message}`);
        return;
      } catch (error) {
        if (!isNodesFault(error)) throw error;
        refusals.push({ node, reason: `said: ${error.message}` });
        if (error instanceof PlacementError || error instanceof UnknownActorTypeError) continue;
        // It may have started all the same, unheard: that life must not go on beside the next.
        this.fence(node.nodeId, actor.incarnation);
        await this.kill(node.nodeId, actor.incarnation);
        const { clock } = this.#options.endpoint;
        actor.noteEnd(clock.now());
        const vouchedMs = actor.actsUntil - clock.now();
        const waitMs = Math.max(vouchedMs, this.#options.outstandingMs(node.nodeId));
        await delay(clock, waitMs, actor.ending.signal);
        actor.epoch += 1;
      }
    }
    throw new PlacementError(
      `no node can take actor ${name} of type ${type}: ${describeRefusals(refusals)}`,
    );
  }

  /** Whether some node would take the actor now. */
  async hasPlace(actor: OwnedActor): Promise<boolean> {
    const request = await this.#request(actor);
    const others = this.#othersThan(actor);
    if (!this.#knowsBest(request, others)) await this.#options.rollCall();
    return rankNodes(request, this.#options.nodes(), others).nodes.length > 0;
  }

  /** The known nodes that could take an actor now, which need not be this owner's yet. */
  async placesOf(actor: Placeable): Promise<Placement> {
    try {
      const request = await this.#request(actor, PLACES_ASK_MS);
      return rankNodes(request, this.#options.nodes(), this.#othersThan(undefined));
    } catch (error) {
      // The one that it has to be beside is nowhere now.
      return { nodes: [], refusals: [{ reason: (error as Error).message }] };
    }
  }

  /** No node that isn't known could be better than those that are. */
  #knowsBest(request: PlacementRequest, others: OwnActors): boolean {
    const { nodes, knowsAllNodes } = this.#options;
    if (knowsAllNodes()) return true;
    return isUnsurpassed(request, rankNodes(request, nodes(), others).nodes[0], others);
  }

  #othersThan(actor: OwnedActor | undefined): OwnActors {
    const { actors } = this.#options;
    return {
      countOn: (nodeId) => actors.countOn(nodeId),
      isLabelledOn: (nodeId, labels) => actors.isLabelledOn(nodeId, labels, actor),
    };
  }

  async #request({ plan, address }: Placeable, timeoutMs?: number): Promise<PlacementRequest> {
    const { beside, ...rules } = plan.placement;
    const request = { ...rules, type: address.type, resources: plan.resources };
    if (beside === undefined) return request;
    const nodeId = await this.#options.whereIs(beside, timeoutMs);
    return { ...request, beside: { actor: beside.name, nodeId } };
  }

  #startOn(node: NodeInfo, actor: OwnedActor, value: StartValue): Promise<number> {
    const { plan, address, epoch, named } = actor;
    // Nobody else starts a nameless actor that is here: it needs nobody's word.
    const leased = this.#options.shared && (named || !node.self);
    const start: StartMessage = {
      kind: 'start',
      owner: address.owner,
      name: address.name,
      type: address.type,
      epoch,
      isolation: plan.isolation,
      mailboxMessagesMax: plan.mailboxMessagesMax,
      resources: plan.resources,
      maxConcurrency: plan.maxConcurrency,
      ...(plan.niceness !== undefined && { niceness: plan.niceness }),
      ...(plan.environment && { environment: plan.environment }),
      ...(plan.labels && { labels: plan.labels }),
      ...(leased && { lessor: this.#options.endpoint.nodeId }),
      ...(leased && !node.self && { grant: this.#options.grantIdFor(node.nodeId) }),
      secret: actor.secret!,
      ...(this.#options.recordCalls && { recordCalls: true }),
    };
    if (node.self) return this.#options.node.start(start, actor.definition, value);
    return this.#startRemotely(node.nodeId, start, value, actor.life.signal);
  }

  async #startRemotely(
    nodeId: string,
    start: StartMessage,
    value: StartValue,
    signal: AbortSignal,
  ): Promise<number> {
    const { endpoint } = this.#options;
    const timeoutMs = START_TIMEOUT_MS;
    const parcel = encodeCarrying(endpoint.bus, { ...start, value }, timeoutMs);
    const subject = subjects.node(endpoint.namespace, nodeId);
    const options = { timeoutMs, signal };
    const answer = await requestControl(endpoint, subject, 'started', parcel, options);
    return answer.pid;
  }

  /** Ends an incarnation, now or when its node answers again. */
  async kill(nodeId: string, incarnation: string): Promise<void> {
    const { endpoint, node } = this.#options;
    if (nodeId === endpoint.nodeId) {
      node.kill(incarnation);
      return;
    }
    const parcel = { bytes: encodeMessage({ kind: 'kill', incarnation }) };
    const subject = subjects.node(endpoint.namespace, nodeId);
    try {
      await requestControl(endpoint, subject, 'done', parcel, { timeoutMs: KILL_TIMEOUT_MS });
      this.#unfence(nodeId, incarnation);
    } catch {
      // Not reached: ended when the node answers again.
      this.fence(nodeId, incarnation);
    }
  }

  /** Notes an incarnation that must not act any more on a node that may not have heard of it. */
  fence(nodeId: string, incarnation: string): void {
    const node = this.#options.nodes().find((known) => known.nodeId === nodeId);
    // What lives on one that is lost gets our word no more, whatever it is.
    if (node === undefined || node.self) return;
    const fenced = this.#fenced.get(nodeId) ?? new Set();
    if (fenced.size < FENCED_MAX) fenced.add(incarnation);
    else this.#options.revoke(nodeId);
    this.#fenced.set(nodeId, fenced);
  }

  /** A node is lost. */
  forget(nodeId: string): void {
    this.#options.revoke(nodeId);
    this.#fenced.delete(nodeId);
  }

  /**
   * A node shows itself: what it still runs of the past is ended there. False until it has confirmed
   * that, and until then it must not hear that actors of ours may act.
   */
  isClear(nodeId: string): boolean {
    if (!this.#fenced.has(nodeId)) return true;
    void this.#endFenced(nodeId);
    return false;
  }

  async #endFenced(nodeId: string): Promise<void> {
    if (this.#clearing.has(nodeId)) return;
    this.#clearing.add(nodeId);
    const incarnations = [...(this.#fenced.get(nodeId) ?? [])];
    await Promise.all(incarnations.map((incarnation) => this.kill(nodeId, incarnation)));
    this.#clearing.delete(nodeId);
  }

  #unfence(nodeId: string, incarnation: string): void {
    const fenced = this.#fenced.get(nodeId);
    if (fenced?.delete(incarnation) && fenced.size === 0) this.#fenced.delete(nodeId);
  }
}

/** The node can't or doesn't answer: another one may. What `create` throws is the actor's own fault. */
function isNodesFault(error: unknown): error is Error {
  return (
    error instanceof PlacementError ||
    error instanceof UnknownActorTypeError ||
    error instanceof NoResponderError ||
    error instanceof DeadlineError
  );
}
