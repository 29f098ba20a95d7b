const SCRATCH_BYTES = 64 << 10;
/** What is read ahead of a large payload's line has to be copied into its place. */
const SCRATCH_BYTES_BEFORE_LARGE = 2 << 10;
/** Smaller ones are copied out of where they are read. */
const PLACED_BYTES_MIN = 8 << 10;
/** A subscription's number and the size: what wants an answer itself is passed on. */
const ANSWER_WORDS_AFTER_SUBJECT = 2;
/** A server's own limit is 4 KB, but for what it tells of its cluster. */
const LINE_BYTES_MAX = 64 << 10;
const LINE_END_BYTES = 2;
const NEW_LINE = 10;
const ZERO = 48;
const NINE = 57;
const H = 72;
const M = 77;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** Where large answers should lie. */
export interface AnswerPlaces {
  /** Of just this length, for what comes on this subject; undefined if it may lie anywhere. */
  placeFor(subject: string, byteLength: number): Uint8Array | undefined;
  /** The place is filled. */
  placed(subject: string, payload: Uint8Array): void;
}

interface Answer {
  readonly subject: string;
  readonly place: Uint8Array;
}

/**
 * Follows what a NATS server sends. Payloads that have a place are read straight into it; all else
 * goes on to the client's parser, which copies what is longer than one read twice. `buffer()` says
 * where the next bytes belong, `received(n)` that they have come.
 *
 * https://docs.nats.io/reference/reference-protocols/nats-protocol
 */
export class NatsAnswerReader {
  readonly #places: AnswerPlaces;
  readonly #pass: (bytes: Buffer) => void;
  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  /** A line that is not complete: its payload may have a place, so it waits. */
  #line: Buffer = NO_BYTES;
  /** Of a payload that goes on to the parser, and of the end of one that doesn't. */
  #bytesToPass = 0;
  #bytesToDrop = 0;
  #answer: Answer | undefined;
  #filled = 0;
  /** A large payload is seldom alone. */
  #expectsLarge = false;

  constructor(places: AnswerPlaces, pass: (bytes: Buffer) => void) {
    this.#places = places;
    this.#pass = pass;
  }

  buffer(): Uint8Array {
    if (this.#answer) return this.#answer.place.subarray(this.#filled);
    return this.#expectsLarge
      ? this.#scratch.subarray(0, SCRATCH_BYTES_BEFORE_LARGE)
      : this.#scratch;
  }

  received(byteLength: number): void {
    if (this.#answer) this.#fill(this.#answer, byteLength);
    else this.#read(this.#scratch.subarray(0, byteLength));
  }

  #read(bytes: Buffer): void {
    this.#expectsLarge = false;
    /** All before it has been passed on or has its place. */
    let start = 0;
    let position = 0;
    while (position < bytes.length) {
      const rest = bytes.length - position;
      if (this.#bytesToDrop > 0) {
        const dropped = Math.min(this.#bytesToDrop, rest);
        this.#bytesToDrop -= dropped;
        position += dropped;
        start = position;
        continue;
      }
      if (this.#bytesToPass > 0) {
        const passed = Math.min(this.#bytesToPass, rest);
        this.#bytesToPass -= passed;
        position += passed;
        continue;
      }
      const end = bytes.indexOf(NEW_LINE, position) + 1;
      if (end === 0) break;
      const held = this.#line;
      this.#line = NO_BYTES;
      const whole = held.length === 0;
      const line = whole ? bytes : Buffer.concat([held, bytes.subarray(position, end)]);
      const payloadBytes = payloadBytesOf(line, whole ? position : 0, whole ? end : line.length);
      const large = payloadBytes !== undefined && payloadBytes >= PLACED_BYTES_MIN;
      const answer = large
        ? this.#answerOf(whole ? bytes.subarray(position, end) : line, payloadBytes)
        : undefined;
      if (answer === undefined) {
        this.#passOn(held);
        if (payloadBytes !== undefined) this.#bytesToPass = payloadBytes + LINE_END_BYTES;
        position = end;
        continue;
      }
      this.#passOn(bytes.subarray(start, position));
      const present = bytes.subarray(end, end + answer.place.length);
      answer.place.set(present);
      position = end + present.length;
      start = position;
      this.#answer = answer;
      this.#filled = 0;
      this.#fill(answer, present.length);
    }
    this.#passOn(bytes.subarray(start, position));
    if (position < bytes.length) this.#hold(bytes.subarray(position));
  }

  #answerOf(line: Buffer, payloadBytes: number): Answer | undefined {
    const [operation, subject, ...others] = line.toString('latin1').split(' ');
    if (operation !== 'MSG' || others.length !== ANSWER_WORDS_AFTER_SUBJECT) return undefined;
    const place = this.#places.placeFor(subject!, payloadBytes);
    return place && { subject: subject!, place };
  }

  #fill(answer: Answer, byteLength: number): void {
    this.#filled += byteLength;
    if (this.#filled < answer.place.length) return;
    this.#answer = undefined;
    this.#bytesToDrop = LINE_END_BYTES;
    this.#expectsLarge = true;
    this.#places.placed(answer.subject, answer.place);
  }

  #hold(start: Buffer): void {
    this.#line = Buffer.concat([this.#line, start]);
    if (this.#line.length <= LINE_BYTES_MAX) return;
    // No message has such a line: the rest is the parser's alone.
    this.#passOn(this.#line);
    this.#line = NO_BYTES;
    this.#bytesToPass = Number.POSITIVE_INFINITY;
  }

  /** Whoever gets bytes may keep them. */
  #passOn(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (bytes.length < SCRATCH_BYTES / 2) {
      this.#pass(Buffer.from(bytes));
      return;
    }
    this.#pass(bytes);
    this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }
}

/**
 * What follows the line from `start` to `end`: `MSG subject sid [reply] size`, with headers `HMSG …`;
 * nothing follows others.
 */
function payloadBytesOf(bytes: Buffer, start: number, end: number): number | undefined {
  if (bytes[start] !== M && bytes[start] !== H) return undefined;
  let size = 0;
  let unit = 1;
  for (let i = end - LINE_END_BYTES - 1; i > start; i -= 1) {
    const digit = bytes[i]!;
    if (digit < ZERO || digit > NINE) break;
    size += (digit - ZERO) * unit;
    unit *= 10;
  }
  return size;
}
