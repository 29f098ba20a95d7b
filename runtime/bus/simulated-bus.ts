import type { Clock } from '../clock.ts';
import type { Random } from '../simulation/random.ts';
import type { Lifeline, VirtualTime } from '../simulation/virtual-time.ts';
import type { Bus } from './bus.ts';
import { InProcessBus } from './in-process-bus.ts';
import { type Port, type Route, type RoutedMessage, Router, type Routing } from './router.ts';

/** Requests made while disconnected wait for the connection, as many as on the NATS bus. */
const WAITING_REQUESTS_MAX = 1_000;
/** An overtaken message takes up to so many times as long as it would have. */
const DETOUR_MAX = 20;

/** What happens to the messages of a link. Shares are from 0 to 1. */
export interface LinkFaults {
  readonly loss: number;
  readonly duplication: number;
  /** The share of messages that may be overtaken by later ones. */
  readonly reordering: number;
  /** How long a message travels, fixed or drawn for each. */
  readonly delayMs: number | ((random: Random) => number);
}

export interface Link {
  readonly from: string;
  readonly to: string;
}

export type MessageFate = 'arrives' | 'lost' | 'blocked' | 'unheard';

export interface SimulatedNetworkOptions {
  readonly time: VirtualTime;
  readonly random: Random;
  readonly faults: LinkFaults;
  readonly payloadBytesMax?: number;
  /** What becomes of each message, at the moment when that is decided. */
  readonly onMessage?: (fate: MessageFate, link: Link, message: RoutedMessage) => void;
}

export interface ConnectionOptions {
  /** Unique among the network's connections. */
  readonly name: string;
  /** Where the connection is: faults and partitions are between places. */
  readonly place: string;
  readonly clock: Clock;
  readonly lifeline: Lifeline;
}

export interface Traffic {
  messagesOut: number;
  messagesIn: number;
  bytesOut: number;
  bytesIn: number;
}

export interface SimulatedConnection {
  readonly bus: Bus;
  readonly traffic: Readonly<Traffic>;
  /** The far end notices that we are gone: requests to us find nobody. */
  forget(): void;
  /** The bus tells that it is disconnected; nothing comes or goes but requests that wait. */
  disconnect(reason: string): void;
  reconnect(): void;
}

/** Connections of one process whose messages take virtual time, and may not arrive as they were sent. */
export class SimulatedNetwork {
  readonly #options: SimulatedNetworkOptions;
  readonly #router = new Router();
  readonly #faults = new Map<string, LinkFaults>();
  readonly #blocked = new Set<string>();
  #commonFaults: LinkFaults;

  constructor(options: SimulatedNetworkOptions) {
    this.#options = options;
    this.#commonFaults = options.faults;
  }

  connect(options: ConnectionOptions): SimulatedConnection {
    const { payloadBytesMax = 1 << 20, time } = this.#options;
    return new Connection(this, this.#router, time, payloadBytesMax, options);
  }

  /** From now on, for one link or for all that have none of their own. */
  setFaults(faults: LinkFaults, link?: Link): void {
    if (link === undefined) this.#commonFaults = faults;
    else this.#faults.set(keyOf(link), faults);
  }

  /** Takes back the faults of single links. */
  clearLinkFaults(): void {
    this.#faults.clear();
  }

  /** Nothing gets from the one place to the other, silently, until `unblock`. */
  block(link: Link): void {
    this.#blocked.add(keyOf(link));
  }

  unblock(link: Link): void {
    this.#blocked.delete(keyOf(link));
  }

  /** Decides what becomes of a message, and calls `arrive` whenever a copy of it is there. */
  carry(from: Connection, to: Connection, message: RoutedMessage, arrive: () => void): void {
    const { random, onMessage } = this.#options;
    const link = { from: from.place, to: to.place };
    if (this.#blocked.size > 0 && this.#blocked.has(keyOf(link))) {
      onMessage?.('blocked', link, message);
      return;
    }
    const faults = this.#faultsOf(link);
    if (faults.loss > 0 && random.chance(faults.loss)) {
      onMessage?.('lost', link, message);
      return;
    }
    const copies = faults.duplication > 0 && random.chance(faults.duplication) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) this.#send(faults, from, to, message, arrive);
  }

  /** What a connection sends itself by way of the server takes so long. */
  travelMs(place: string): number {
    const { delayMs } = this.#faultsOf({ from: place, to: place });
    return typeof delayMs === 'number' ? delayMs : delayMs(this.#options.random);
  }

  #send(
    faults: LinkFaults,
    from: Connection,
    to: Connection,
    message: RoutedMessage,
    arrive: () => void,
  ): void {
    const { random, time, onMessage } = this.#options;
    const { delayMs, reordering } = faults;
    const travelMs = typeof delayMs === 'number' ? delayMs : delayMs(random);
    const overtaken = reordering > 0 && random.chance(reordering);
    const at = overtaken
      ? time.nowMs + travelMs * random.between(1, DETOUR_MAX)
      : from.orderedArrival(to, time.nowMs + travelMs, typeof delayMs !== 'number');
    from.noteArrival(at);
    time.scheduleAt(
      at,
      () => {
        onMessage?.(to.hears ? 'arrives' : 'unheard', { from: from.name, to: to.name }, message);
        if (to.hears) arrive();
      },
      to.lifeline,
    );
  }

  #faultsOf(link: Link): LinkFaults {
    if (this.#faults.size === 0) return this.#commonFaults;
    return this.#faults.get(keyOf(link)) ?? this.#commonFaults;
  }
}

function keyOf({ from, to }: Link): string {
  return `${from} ${to}`;
}

/** All that this network's router ever sees. */
interface SentMessage extends RoutedMessage {
  /** Filled by the router: the subscriptions of each connection that the message goes to. */
  readonly routeIds: Map<Connection, number[]>;
}

/** One process's connection: the bus that it uses, and the network's end of it. */
class Connection implements SimulatedConnection, Routing, Port {
  readonly name: string;
  readonly place: string;
  readonly lifeline: Lifeline;
  readonly bus: InProcessBus;
  readonly traffic: Traffic = { messagesOut: 0, messagesIn: 0, bytesOut: 0, bytesIn: 0 };
  readonly #network: SimulatedNetwork;
  readonly #router: Router;
  readonly #time: VirtualTime;
  readonly #routes = new Set<Route>();
  /** When the last message to a connection arrives, so that the next one is no earlier. */
  readonly #arrivals = new Map<Connection, number>();
  #allArrivedAt = 0;
  #connected = true;
  #forgotten = false;
  #waiting: RoutedMessage[] = [];
  /** A subscription is on its way to the server, and so is what came after it, in order. */
  #uplink: (() => void)[] | undefined;

  constructor(
    network: SimulatedNetwork,
    router: Router,
    time: VirtualTime,
    payloadBytesMax: number,
    { name, place, clock, lifeline }: ConnectionOptions,
  ) {
    this.#network = network;
    this.#router = router;
    this.#time = time;
    this.name = name;
    this.place = place;
    this.lifeline = lifeline;
    this.bus = new InProcessBus({
      kind: 'simulated',
      clock,
      router: this,
      name,
      payloadBytesMax,
      pendingBytesMax: 64 << 20,
      defer: queueMicrotask,
    });
  }

  get hears(): boolean {
    return this.#connected && !this.lifeline.ended;
  }

  /** Interest begins when the server has heard of it, as with a real one. */
  subscribe(_port: Port, id: number, pattern: string, queue?: string): Route {
    const route: Route = { port: this, id, pattern, queue, lastTurn: 0 };
    this.#routes.add(route);
    this.#tellServer(() => {
      if (!this.#forgotten) this.#router.add(route);
    });
    return route;
  }

  unsubscribe(route: Route): void {
    this.#routes.delete(route);
    this.#tellServer(() => this.#router.unsubscribe(route));
  }

  publish(message: RoutedMessage): ReturnType<Router['publish']> {
    // A process that has ended says nothing, whatever its leftovers do.
    if (this.lifeline.ended) return 'delivered';
    if (!this.#connected) {
      const waits = message.replySubject !== undefined;
      if (waits && this.#waiting.length < WAITING_REQUESTS_MAX) this.#waiting.push(message);
      return 'delivered';
    }
    this.traffic.messagesOut += 1;
    this.traffic.bytesOut += message.byteLength;
    if (this.#uplink === undefined) this.#route(message);
    else this.#uplink.push(() => this.#route(message));
    return 'delivered';
  }

  #route(message: RoutedMessage): void {
    const sent: SentMessage = { ...message, routeIds: new Map() };
    const outcome = this.#router.publish(sent);
    for (const [to, routeIds] of sent.routeIds) {
      this.#network.carry(this, to, message, () => to.receive(routeIds, message));
    }
    const { replySubject } = message;
    if (outcome !== 'nobody' || replySubject === undefined) return;
    this.#time.schedule(
      this.#network.travelMs(this.place),
      () => {
        if (this.#connected) this.bus.noteNoResponder(replySubject);
      },
      this.lifeline,
    );
  }

  #tellServer(change: () => void): void {
    if (this.#uplink !== undefined) {
      this.#uplink.push(change);
      return;
    }
    this.#uplink = [change];
    this.#time.schedule(this.#network.travelMs(this.place), () => {
      const arrived = this.#uplink ?? [];
      this.#uplink = undefined;
      for (const act of arrived) act();
    });
  }

  /** The router has a message for us; it sets out once for all of our subscriptions. */
  deliver(routeId: number, message: RoutedMessage): boolean {
    const { routeIds } = message as SentMessage;
    const mine = routeIds.get(this);
    if (mine === undefined) routeIds.set(this, [routeId]);
    else mine.push(routeId);
    return true;
  }

  receive(routeIds: readonly number[], message: RoutedMessage): void {
    this.traffic.messagesIn += 1;
    this.traffic.bytesIn += message.byteLength;
    for (const routeId of routeIds) this.bus.deliver(routeId, message);
  }

  async settled(): Promise<void> {
    const uplink = this.#uplink;
    if (uplink !== undefined) {
      await new Promise<void>((resolve) => {
        uplink.push(() => void this.#time.schedule(0, resolve, this.lifeline));
      });
    }
    if (this.#allArrivedAt <= this.#time.nowMs) return;
    await new Promise<void>((resolve) => {
      this.#time.scheduleAt(this.#allArrivedAt, resolve, this.lifeline);
    });
  }

  /** `varies`: a later message may travel for less time than this one. */
  orderedArrival(to: Connection, earliest: number, varies: boolean): number {
    const before = this.#arrivals.get(to);
    // Between many connections these entries would be most of the memory.
    if (!varies && before === undefined) return earliest;
    const at = Math.max(earliest, before ?? 0);
    this.#arrivals.set(to, at);
    return at;
  }

  noteArrival(at: number): void {
    this.#allArrivedAt = Math.max(this.#allArrivedAt, at);
  }

  forget(): void {
    this.#forgotten = true;
    for (const route of this.#routes) this.#router.unsubscribe(route);
    this.#routes.clear();
  }

  disconnect(reason: string): void {
    if (!this.#connected) return;
    this.#connected = false;
    this.bus.report({ type: 'disconnected', reason });
  }

  reconnect(): void {
    if (this.#connected) return;
    this.#connected = true;
    this.bus.report({ type: 'connected' });
    for (const message of this.#waiting.splice(0)) this.publish(message);
  }
}
