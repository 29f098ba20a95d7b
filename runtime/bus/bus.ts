import type { Clock } from '../clock.ts';
import type { Neighbours } from './neighbours.ts';

/** The buses that carry messages between actors; everything above this file is the same on each. */
export type BusKind = 'memory' | 'local' | 'nats' | 'simulated';

/** `disconnected` is passing: the bus reconnects by itself until it is `closed`. */
export type BusStatus =
  | { readonly type: 'connected' }
  | { readonly type: 'disconnected'; readonly reason: string }
  /** Messages to us or from us were dropped, because we or the far side take them too slowly. */
  | { readonly type: 'slow-consumer'; readonly subject: string; readonly droppedMessages: number }
  /** The server does not permit us this subject: nothing comes from or goes to it. */
  | { readonly type: 'refused'; readonly subject: string; readonly error: Error }
  | { readonly type: 'closed'; readonly error?: Error };

export interface BusMessage {
  readonly subject: string;
  /** Valid as long as it is referenced; never written to. */
  readonly data: Uint8Array;
  /** Where an answer is awaited; absent for a message that wants none. */
  readonly replySubject?: string;
}

export interface SubscribeOptions {
  /** Of all subscribers of one queue group, one gets each message. */
  readonly queue?: string;
}

export interface PublishOptions {
  readonly replySubject?: string;
}

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /**
   * Where an answer of just this length should lie: a bus that can puts its bytes straight there,
   * and the message's `data` is then a view of it. Ours until the request settles.
   */
  readonly into?: Uint8Array;
}

export interface Subscription {
  /** No handler call follows. Idempotent. */
  unsubscribe(): void;
}

/**
 * Subjects are dot-separated words; a subscription may use `*` (one word) and a final `>` (all the
 * rest). Delivery is at most once; messages of one publisher arrive at one subscription in the
 * order sent.
 */
export interface Bus {
  readonly kind: BusKind;
  /** Deadlines on this bus run by it. */
  readonly clock: Clock;
  /** The largest `data` of one message. Larger values go through `chunks.ts`. */
  readonly payloadBytesMax: number;
  /** The largest value that is fetched in chunks: what names it may come from a stranger. */
  readonly valueBytesMax?: number | undefined;
  /** Shorter ways within this host, where this bus is none. Large values take them. */
  readonly nearby?: Neighbours | undefined;

  /**
   * Does not wait, and may keep `data`: don't write to it afterwards. What is published while
   * disconnected, or faster than it can be sent, is lost: whoever needs an answer uses `request`.
   *
   * @throws PayloadTooLargeError, BusClosedError.
   */
  publish(subject: string, data: Uint8Array, options?: PublishOptions): void;

  /**
   * `handler` runs synchronously in order of arrival and must not throw; it hands work on to a
   * queue.
   */
  subscribe(
    subject: string,
    handler: (message: BusMessage) => void,
    options?: SubscribeOptions,
  ): Subscription;

  /**
   * Resolves with the first answer. While disconnected it waits, within its deadline.
   *
   * @throws NoResponderError at once when nobody listens, DeadlineError, the signal's reason,
   * BusClosedError, PayloadTooLargeError, BusOverloadedError when it could not be sent or
   * delivered.
   */
  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage>;

  /** A subject that nobody else uses, for answers to this process. */
  createInbox(): string;

  onStatus(listener: (status: BusStatus) => void): Subscription;

  /** Resolves when everything published so far has reached the hub or server. */
  flush(): Promise<void>;

  /** Stops subscriptions after what has already arrived is handled, flushes, then closes. */
  drain(): Promise<void>;

  close(): Promise<void>;
}
