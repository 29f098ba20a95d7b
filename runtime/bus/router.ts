import { SubjectIndex } from './subject.ts';

/** A message on its way: its bytes may lie in several pieces, as they were read. */
export interface RoutedMessage {
  readonly subject: string;
  readonly replySubject: string | undefined;
  readonly pieces: readonly Uint8Array[];
  readonly byteLength: number;
}

/** The router's end of one connection. */
export interface Port {
  /** False if the message was dropped, because the connection takes its messages too slowly. */
  deliver(routeId: number, message: RoutedMessage): boolean;
}

export interface Route {
  readonly port: Port;
  readonly id: number;
  readonly pattern: string;
  readonly queue: string | undefined;
  lastTurn: number;
}

/** What a connection needs of its router. */
export interface Routing {
  subscribe(port: Port, id: number, pattern: string, queue?: string): Route;
  unsubscribe(route: Route): void;
  publish(message: RoutedMessage): RouteOutcome;
  /** Where messages take time: resolves when all that were published so far have arrived. */
  settled?(): Promise<void>;
}

export type RouteOutcome = 'delivered' | 'dropped' | 'nobody';

/**
 * Hands each message to the connections that subscribed to its subject; the heart of memory and
 * local bus.
 */
export class Router implements Routing {
  readonly #routes = new SubjectIndex<Route>();
  #turn = 0;

  subscribe(port: Port, id: number, pattern: string, queue?: string): Route {
    const route: Route = { port, id, pattern, queue, lastTurn: 0 };
    this.add(route);
    return route;
  }

  add(route: Route): void {
    this.#routes.add(route.pattern, route);
  }

  unsubscribe(route: Route): void {
    this.#routes.delete(route.pattern, route);
  }

  publish(message: RoutedMessage): RouteOutcome {
    const routes = this.#routes.match(message.subject);
    if (routes.length === 0) return 'nobody';
    let delivered = false;
    let groups: Map<string, Route[]> | undefined;
    for (const route of routes) {
      if (route.queue === undefined) {
        delivered = route.port.deliver(route.id, message) || delivered;
      } else {
        groups ??= new Map();
        const group = groups.get(route.queue);
        if (group) group.push(route);
        else groups.set(route.queue, [route]);
      }
    }
    if (groups !== undefined) {
      for (const group of groups.values()) {
        delivered = this.#deliverOnce(group, message) || delivered;
      }
    }
    return delivered ? 'delivered' : 'dropped';
  }

  /** The member that has waited longest gets the message, or the next one if that is too slow. */
  #deliverOnce(group: Route[], message: RoutedMessage): boolean {
    group.sort((a, b) => a.lastTurn - b.lastTurn);
    for (const route of group) {
      if (!route.port.deliver(route.id, message)) continue;
      this.#turn += 1;
      route.lastTurn = this.#turn;
      return true;
    }
    return false;
  }
}

/**
 * One piece with all bytes: `into`, or else at a multiple of 8 in its buffer, so that a frame
 * decodes without a copy.
 */
export function joinPieces({ pieces, byteLength }: RoutedMessage, into?: Uint8Array): Uint8Array {
  if (!into && pieces.length === 1 && pieces[0]!.byteOffset % 8 === 0) return pieces[0]!;
  const joined = into ?? (Buffer.allocUnsafe(byteLength) as Uint8Array);
  let position = 0;
  for (const piece of pieces) {
    joined.set(piece, position);
    position += piece.length;
  }
  return joined;
}
