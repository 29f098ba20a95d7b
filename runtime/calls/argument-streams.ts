import { BusClosedError, DeadlineError, MailboxFullError } from '../../errors.ts';
import type {
  CancelMessage,
  CreditMessage,
  EndMessage,
  ItemMessage,
} from '../wire/call-messages.ts';
import { encodeMessage, type WireMessage } from '../wire/wire.ts';
import { fromWireError, toWireError } from '../wire/wire-error.ts';
import { type Endpoint, encodeCarrying, openCarried } from './endpoint.ts';
import { type CallPath, packHandles, unpackHandles } from './handle.ts';
import { createOutlet } from './stream-outlet.ts';
import { type StreamOutlet, StreamProducer } from './stream-producer.ts';
import { StreamReader } from './stream-reader.ts';
import type { StreamReference } from './stream-reference.ts';

/** Iterables on offer by one process; a call with more is refused. */
const OFFERS_MAX = 1024;
/** How many items may be on their way or unread. */
const STREAM_ITEMS = 16;
/** A large item has so long to be fetched. */
const ITEM_FETCH_MS = 60_000;
/** Ticks of a second after which a reader shows itself again. */
const RENEW_TICKS = 2;

interface Offer {
  readonly items: AsyncIterable<unknown>;
  /** Once somebody reads: who, and what serves them. */
  reader: string | undefined;
  producer: StreamProducer | undefined;
}

export interface ReadOptions {
  /** For each wait for an item. */
  readonly timeoutMs: number;
  /** Looked at when reading begins. */
  readonly signal: () => AbortSignal | undefined;
}

/**
 * Streams from callers to actors: async iterables among the arguments of calls. The process that calls
 * keeps them on offer until the call settles; the one that serves it reads them, giving credit.
 */
export class ArgumentStreams {
  readonly #endpoint: Endpoint;
  readonly #path: CallPath;
  readonly #inbox: string;
  readonly #onBusy: () => void;
  readonly #offers = new Map<string, Offer>();
  readonly #readers = new Map<number, { readonly id: string; readonly reader: StreamReader }>();
  #lastOffer = 0;
  #lastReader = 0;
  #tick = 0;

  /** `onBusy`: something is being read, `tick` is wanted each second. */
  constructor(endpoint: Endpoint, path: CallPath, inbox: string, onBusy: () => void) {
    this.#endpoint = endpoint;
    this.#path = path;
    this.#inbox = inbox;
    this.#onBusy = onBusy;
  }

  /** Nothing is being read here. */
  get quiet(): boolean {
    return this.#readers.size === 0;
  }

  /** @throws MailboxFullError when this process has too many on offer. */
  offer(items: AsyncIterable<unknown>): StreamReference {
    if (this.#offers.size >= OFFERS_MAX) {
      throw new MailboxFullError(
        `${OFFERS_MAX} streams are arguments of calls that are not settled; await some of these`,
      );
    }
    this.#lastOffer += 1;
    const id = `${this.#inbox}/${this.#lastOffer}`;
    this.#offers.set(id, { items, reader: undefined, producer: undefined });
    return { subject: this.#inbox, id };
  }

  /** The call is over: nobody reads any more. Ends the iterable if it had begun. */
  withdraw({ id }: StreamReference): void {
    const offer = this.#offers.get(id);
    this.#offers.delete(id);
    offer?.producer?.close();
  }

  /** The far side's end of a stream that came as an argument. */
  open(reference: StreamReference, { timeoutMs, signal }: ReadOptions): StreamReader {
    const { clock } = this.#endpoint;
    const { subject, id } = reference;
    this.#lastReader += 1;
    const seq = this.#lastReader;
    const from = this.#inbox;
    return new StreamReader({
      name: 'a stream that came as an argument',
      clock,
      timeoutMs,
      itemsMax: STREAM_ITEMS,
      get signal() {
        return signal();
      },
      open: async (reader) => {
        this.#readers.set(seq, { id, reader });
        reader.attach({
          sendCredit: (received, allowed, resend) =>
            this.#publish(subject, {
              kind: 'credit',
              to: id,
              from,
              seq,
              received,
              allowed,
              resend,
            }),
          cancel: () => {
            if (this.#readers.delete(seq)) {
              this.#publish(subject, { kind: 'cancel', to: id, from, seq });
            }
          },
        });
        this.#onBusy();
        reader.giveCredit();
      },
    });
  }

  receive(message: CreditMessage | CancelMessage | ItemMessage | EndMessage): void {
    switch (message.kind) {
      case 'credit':
        this.#serve(message);
        break;
      case 'cancel':
        if (this.#offers.get(message.to)?.reader === readerKey(message)) {
          this.withdraw({ subject: this.#inbox, id: message.to });
        }
        break;
      case 'item':
        this.#reader(message)?.receive(message.index, () => this.#openItem(message));
        break;
      case 'end': {
        const failure = message.error && { error: fromWireError(message.error) };
        this.#reader(message)?.receiveEnd(message.index, failure);
      }
    }
  }

  /** Once a second: shows the far sides that their readers are there. */
  tick(): void {
    this.#tick += 1;
    if (this.#tick % RENEW_TICKS !== 0) return;
    for (const { reader } of this.#readers.values()) reader.renewCredit();
  }

  close(error: Error): void {
    for (const { reader } of [...this.#readers.values()]) reader.fail(error);
    for (const id of [...this.#offers.keys()]) this.withdraw({ subject: this.#inbox, id });
  }

  /** Begins with the first credit that comes; a second reader is refused. */
  #serve(message: CreditMessage): void {
    const { to, from, seq, received, allowed, resend } = message;
    const offer = this.#offers.get(to);
    const key = readerKey(message);
    if (offer === undefined || (offer.reader !== undefined && offer.reader !== key)) {
      const why =
        offer === undefined ? 'the call that it came with is over' : 'somebody else reads it';
      const error = toWireError(new DeadlineError(`the stream can't be read: ${why}`));
      this.#publish(from, { kind: 'end', of: to, seq, index: received, error });
      return;
    }
    if (offer.producer === undefined) {
      const { clock, link } = this.#endpoint;
      offer.reader = key;
      const outlet = this.#outlet(message);
      offer.producer = new StreamProducer({
        items: offer.items,
        credit: allowed,
        outlet,
        clock,
        link,
      });
    } else {
      offer.producer.acknowledge(received, allowed, resend);
    }
  }

  #outlet({ to: of, from, seq }: CreditMessage): StreamOutlet {
    const { bus } = this.#endpoint;
    return createOutlet({
      of,
      seq,
      encode: (item) => {
        const value = packHandles(item.value, { forMs: ITEM_FETCH_MS });
        return encodeCarrying(bus, { ...item, value }, ITEM_FETCH_MS).bytes;
      },
      publish: (bytes) => this.#publishBytes(from, bytes),
      onClose: () => this.#offers.delete(of),
    });
  }

  #reader({ of, seq }: ItemMessage | EndMessage): StreamReader | undefined {
    const known = this.#readers.get(seq);
    return known?.id === of ? known.reader : undefined;
  }

  async #openItem(message: ItemMessage): Promise<unknown> {
    const value = await openCarried(this.#endpoint.bus, message, { timeoutMs: ITEM_FETCH_MS });
    return unpackHandles(value, this.#path);
  }

  #publish(subject: string, message: WireMessage): void {
    this.#publishBytes(subject, encodeMessage(message));
  }

  #publishBytes(subject: string, bytes: Uint8Array): void {
    try {
      this.#endpoint.bus.publish(subject, bytes);
    } catch (error) {
      // A closed bus ends both sides by other ways.
      if (!(error instanceof BusClosedError)) throw error;
    }
  }
}

function readerKey({ from, seq }: CreditMessage | CancelMessage): string {
  return `${seq} ${from}`;
}
