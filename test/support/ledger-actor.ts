import * as v from 'valibot';
import {
  type ActorContext,
  type ActorDefinition,
  type CallContext,
  defineActor,
} from '../../runtime/index.ts';

/** Adds up what it is given, in every way that arguments can be given, and counts its runs. */
export class Ledger {
  readonly #epoch: number;
  readonly #unit: string;
  readonly #held: (() => void)[] = [];
  #runs = 0;
  #sum = 0;

  constructor(context: ActorContext, unit: string) {
    this.#epoch = context.epoch;
    this.#unit = unit;
  }

  deposit({ amount }: { readonly amount: number }, times: number): string {
    this.#runs += 1;
    this.#sum += amount * times;
    return `${this.#sum} ${this.#unit}`;
  }

  /** Answers when `release` is called. */
  async held(context: CallContext): Promise<number> {
    this.#runs += 1;
    await new Promise<void>((resolve, reject) => {
      this.#held.push(resolve);
      context.signal.addEventListener('abort', () => reject(context.signal.reason));
    });
    return this.#runs;
  }

  release(): number {
    for (const resolve of this.#held.splice(0)) resolve();
    return this.#runs;
  }

  runs(): number {
    return this.#runs;
  }

  /** Fails with `code` until it has run so many times. */
  flaky(succeedsAt: number, code: string): number {
    this.#runs += 1;
    if (this.#runs < succeedsAt) throw Object.assign(new RangeError('not yet'), { code });
    return this.#runs;
  }

  async total(numbers: AsyncIterable<number>): Promise<number> {
    this.#runs += 1;
    let total = 0;
    for await (const number of numbers) total += number;
    return total;
  }

  async firstOf(numbers: AsyncIterable<number>, count: number): Promise<readonly number[]> {
    const first: number[] = [];
    for await (const number of numbers) {
      first.push(number);
      if (first.length === count) break;
    }
    return first;
  }

  /** Never reads what it is given. */
  async ignore(_numbers: AsyncIterable<number>): Promise<string> {
    return 'ignored';
  }

  async *doubled(numbers: AsyncIterable<number>): AsyncGenerator<number> {
    for await (const number of numbers) yield number * 2;
  }

  /** Ends its process while it reads, in its first life. */
  async dieReading(numbers: AsyncIterable<number>): Promise<number> {
    for await (const _number of numbers) if (this.#epoch === 1) process.exit(7);
    return this.#epoch;
  }
}

const options = v.object({ unit: v.optional(v.pipe(v.string(), v.minLength(1)), 'crowns') });

export const ledger: ActorDefinition<v.InferInput<typeof options>, Ledger> = defineActor({
  type: 'test/ledger',
  module: import.meta.url,
  options,
  concurrencyGroups: { held: 8 },
  methods: {
    deposit: {
      kind: 'call',
      input: [v.object({ amount: v.pipe(v.number(), v.minValue(0)) }), v.number()],
    },
    held: { kind: 'call', group: 'held' },
    release: 'call',
    runs: 'idempotent',
    flaky: 'idempotent',
    total: 'idempotent',
    firstOf: 'call',
    ignore: 'call',
    doubled: 'stream',
    dieReading: 'idempotent',
  },
  create: (context, { unit }) => new Ledger(context, unit),
});
