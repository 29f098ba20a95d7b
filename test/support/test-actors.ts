import { getPriority } from 'node:os';
import {
  type ActorContext,
  type ActorDefinition,
  type CallContext,
  defineActor,
  type Handle,
} from '../../runtime/index.ts';

export interface CounterOptions {
  readonly start?: number;
  /** What `create` does instead of returning. */
  readonly fail?: 'throw' | 'exit';
}

/** Counts, remembers the order of its calls, and dies in every way that a test wants. */
export class Counter {
  readonly #context: ActorContext;
  #count: number;
  readonly #order: string[] = [];
  #release: (() => void) | undefined;

  constructor(context: ActorContext, options: CounterOptions) {
    this.#context = context;
    this.#count = options.start ?? 0;
  }

  add(amount: number): number {
    this.#count += amount;
    return this.#count;
  }

  async read(): Promise<number> {
    return this.#count;
  }

  async addAndSave(amount: number): Promise<number> {
    this.#count += amount;
    await this.#context.saveCheckpoint();
    return this.#count;
  }

  describe(): { readonly pid: number; readonly epoch: number; readonly nodeId: string } {
    return { pid: process.pid, epoch: this.#context.epoch, nodeId: this.#context.nodeId };
  }

  surroundings(variable: string): { readonly value: string; readonly niceness: number } {
    return { value: process.env[variable] ?? '', niceness: getPriority() };
  }

  note(text: string): void {
    this.#order.push(text);
  }

  noted(): readonly string[] {
    return this.#order;
  }

  makeBytes(byteLength: number): Uint8Array {
    return new Uint8Array(byteLength);
  }

  echo<Value>(value: Value): Value {
    return value;
  }

  /** Resolves when `release` is called, or rejects when the caller gives up. */
  wait(context: CallContext): Promise<string> {
    this.#order.push('wait began');
    return new Promise((resolve, reject) => {
      this.#release = () => resolve('released');
      context.signal.addEventListener('abort', () => {
        this.#order.push(`wait aborted: ${(context.signal.reason as Error).message}`);
        reject(context.signal.reason);
      });
    });
  }

  /** Keeps its process from doing anything else. */
  block(ms: number): void {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  }

  fail(message: string): never {
    throw Object.assign(new RangeError(message), { code: 'E_TEST' });
  }

  exit(code: number): void {
    console.error('last words of the counter');
    process.exit(code);
  }

  /** Dies without an answer in its first life, answers in its second. */
  dieOnce(): string {
    if (this.#context.epoch === 1) process.kill(process.pid, 'SIGKILL');
    return `answered in life ${this.#context.epoch}`;
  }

  async callOther(other: Handle<Counter>, amount: number): Promise<number> {
    return (await other.add(amount)) + 1000;
  }

  *#numbers(count: number): Generator<number> {
    for (let number = 0; number < count; number += 1) yield number;
  }

  /** Numbers from 0; the count of those produced is added to the counter. */
  async *count(to: number): AsyncGenerator<number> {
    try {
      for (const number of this.#numbers(to)) {
        this.#count += 1;
        yield number;
      }
    } finally {
      this.#order.push('stream ended');
      this.#release?.();
    }
  }

  async *large(count: number, floats: number): AsyncGenerator<Float32Array> {
    for (let index = 0; index < count; index += 1) yield new Float32Array(floats).fill(index);
  }

  async *failing(after: number): AsyncGenerator<number> {
    yield* this.#numbers(after);
    throw new RangeError('the stream broke');
  }

  /** Never brings an item. */
  async *silent(context: CallContext): AsyncGenerator<number> {
    await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
  }

  async drain(): Promise<void> {
    this.#order.push('drained');
    this.#release?.();
  }

  checkpoint(): { readonly count: number } {
    return { count: this.#count };
  }

  restore(state: { readonly count: number }): void {
    this.#count = state.count;
  }
}

export const counter: ActorDefinition<CounterOptions, Counter> = defineActor({
  type: 'test/counter',
  module: import.meta.url,
  methods: {
    add: 'call',
    read: 'idempotent',
    addAndSave: 'call',
    describe: 'idempotent',
    surroundings: 'call',
    note: 'call',
    noted: 'idempotent',
    makeBytes: 'call',
    echo: 'call',
    wait: 'call',
    block: 'call',
    fail: 'call',
    exit: 'call',
    dieOnce: 'idempotent',
    callOther: 'call',
    count: 'stream',
    large: 'stream',
    failing: 'stream',
    silent: 'stream',
  },
  create(context: ActorContext, options: CounterOptions) {
    if (options.fail === 'throw') throw new RangeError('the counter refuses to be made');
    if (options.fail === 'exit') process.exit(3);
    return new Counter(context, options);
  },
});
