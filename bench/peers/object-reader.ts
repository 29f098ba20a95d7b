import {
  type ActorContext,
  type ActorDefinition,
  defineActor,
  type ObjectRef,
} from '../../runtime/index.ts';
import { peakBufferBytes } from '../../test/support/garbage.ts';

/** Gets objects and says how long that took, and how much memory at most. */
export class ObjectReader {
  readonly #context: ActorContext;

  constructor(context: ActorContext) {
    this.#context = context;
  }

  /** Milliseconds of each get, one after the other; then the references are released. */
  async time(
    refs: readonly ObjectRef<Uint8Array>[],
    getsOfEach: number,
  ): Promise<readonly number[]> {
    const times: number[] = [];
    for (const ref of refs) {
      for (let get = 0; get < getsOfEach; get += 1) {
        const start = performance.now();
        await this.#context.get(ref);
        times.push(performance.now() - start);
      }
    }
    for (const ref of refs) ref.release();
    return times;
  }

  /** Bytes of buffers held at most while the value comes. */
  async peak(ref: ObjectRef<Uint8Array>): Promise<number> {
    const bytes = await peakBufferBytes(() => this.#context.get(ref));
    ref.release();
    return bytes;
  }
}

export const objectReader: ActorDefinition<object, ObjectReader> = defineActor({
  type: 'bench/object-reader',
  module: import.meta.url,
  methods: { time: 'call', peak: 'call' },
  create: (context) => new ObjectReader(context),
});
