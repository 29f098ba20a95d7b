import type { CallSpan } from '../observe/tracing.ts';
import { decodeFrame, encodeFrame } from '../wire/frame.ts';
import { decodeMessage } from '../wire/wire.ts';
import type { Parcel } from './endpoint.ts';
import type { StreamReader } from './stream-reader.ts';

export interface OutgoingCall {
  readonly method: string;
  /** Handles inside are plain data already. */
  readonly args: readonly unknown[];
  /** May be sent to a later incarnation again. */
  readonly idempotent: boolean;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** The caller's name for what the call is to do. */
  readonly key: string | undefined;
  /** Set for a stream. */
  readonly stream: { readonly credit: number; readonly reader: StreamReader } | undefined;
}

/** A call from its caller's side, until it settles. */
export class PendingCall {
  readonly outgoing: OutgoingCall;
  readonly deadlineAt: number;
  readonly #resolve: (value: unknown) => void;
  readonly #reject: (error: unknown) => void;
  onAbort: (() => void) | undefined;
  /** What was sent, to be sent again if it got lost. */
  parcel: Parcel | undefined;
  /** Of a caller that traces: ends when the call settles, or the stream that it opens. */
  span: CallSpan | undefined;
  seq = -1;
  sentTick = 0;
  /** A large answer is on its way. */
  fetching: AbortController | undefined;
  /** Why the answer could not be fetched so far. */
  lastError: unknown;
  /** The arguments as they were at the call: its caller may change its arrays while it waits. */
  #snapshot: Uint8Array | undefined;
  #settled = false;

  constructor(
    outgoing: OutgoingCall,
    deadlineAt: number,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.outgoing = outgoing;
    this.deadlineAt = deadlineAt;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** @throws TypeError when an argument can't be sent. */
  takeSnapshot(): void {
    this.#snapshot = encodeFrame(this.outgoing.args);
  }

  args(): unknown {
    return this.#snapshot === undefined ? this.outgoing.args : decodeFrame(this.#snapshot);
  }

  /** Back to before it was sent; its arguments are the ones that were sent. */
  unsend(): void {
    const { parcel } = this;
    this.#release();
    this.seq = -1;
    if (this.#snapshot !== undefined || parcel === undefined) return;
    const message = parcel.frame === undefined ? decodeMessage(parcel.bytes) : undefined;
    this.#snapshot =
      message?.kind === 'call' ? encodeFrame(message.value) : (parcel.frame ?? undefined);
  }

  resolve(value: unknown): void {
    this.#settle();
    // That of a stream ends with the stream.
    if (this.outgoing.stream === undefined) this.span?.end();
    this.#resolve(value);
  }

  reject(error: unknown): void {
    this.#settle();
    if (this.outgoing.stream === undefined) this.span?.end(error);
    this.#reject(error);
  }

  #settle(): void {
    this.#settled = true;
    if (this.onAbort) this.outgoing.signal?.removeEventListener('abort', this.onAbort);
    this.#release();
  }

  #release(): void {
    this.fetching?.abort();
    this.fetching = undefined;
    this.parcel?.cancel?.();
    this.parcel = undefined;
  }
}
