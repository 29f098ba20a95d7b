import {
  type ActorContext,
  type ActorDefinition,
  defineActor,
  type ObjectRef,
} from '../../runtime/index.ts';
import { peakBufferBytes } from './garbage.ts';

export interface KeeperOptions {
  readonly ref?: ObjectRef<string>;
}

/** Puts, gets and keeps object references, in the process that it lives in. */
export class Keeper {
  readonly #context: ActorContext;
  readonly #options: KeeperOptions;
  #kept: ObjectRef<unknown>[] = [];

  constructor(context: ActorContext, options: KeeperOptions) {
    this.#context = context;
    this.#options = options;
  }

  where(): { readonly pid: number; readonly nodeId: string } {
    return { pid: process.pid, nodeId: this.#context.nodeId };
  }

  /** A Float64Array that counts up. */
  async put(length: number): Promise<ObjectRef<Float64Array>> {
    const ref = await this.#context.put(new Float64Array(length).map((_, index) => index));
    return ref.move();
  }

  async sum(ref: ObjectRef<Float64Array>): Promise<number> {
    const values = await this.#context.get(ref);
    ref.release();
    return values.reduce((total, value) => total + value, 0);
  }

  async get(ref: ObjectRef<unknown>): Promise<unknown> {
    return await this.#context.get(ref);
  }

  /** Bytes of buffers, at most, that it takes to make and put so many bytes, and to get them. */
  async measure(byteLength: number): Promise<{ readonly put: number; readonly get: number }> {
    let ref: ObjectRef<Uint8Array> | undefined;
    const put = await peakBufferBytes(async () => {
      ref = await this.#context.put(new Uint8Array(byteLength).fill(7));
    });
    const get = await peakBufferBytes(() => this.#context.get(ref!));
    ref?.release();
    return { put, get };
  }

  /** An object whose value holds the reference. */
  async wrap<Value>(ref: ObjectRef<Value>): Promise<ObjectRef<readonly [ObjectRef<Value>]>> {
    return (await this.#context.put([ref.move()] as const)).move();
  }

  async saveWith(ref: ObjectRef<unknown>): Promise<void> {
    this.#kept = [ref];
    await this.#context.saveCheckpoint().finally(() => this.forget());
  }

  checkpoint(): unknown {
    return this.#kept;
  }

  keep(ref: ObjectRef<unknown>): void {
    this.#kept.push(ref);
  }

  forward(): readonly ObjectRef<unknown>[] {
    return this.#kept;
  }

  forget(): void {
    for (const ref of this.#kept) ref.release();
    this.#kept = [];
  }

  async getOption(): Promise<string | undefined> {
    const { ref } = this.#options;
    return ref && (await this.#context.get(ref));
  }

  die(): void {
    process.kill(process.pid, 'SIGKILL');
  }
}

export const keeper: ActorDefinition<KeeperOptions, Keeper> = defineActor({
  type: 'test/keeper',
  module: import.meta.url,
  methods: {
    where: 'call',
    put: 'call',
    sum: 'idempotent',
    get: 'call',
    measure: 'call',
    wrap: 'call',
    saveWith: 'call',
    keep: 'call',
    forward: 'call',
    forget: 'call',
    getOption: 'call',
    die: 'call',
  },
  create: (context, options: KeeperOptions) => new Keeper(context, options),
});
