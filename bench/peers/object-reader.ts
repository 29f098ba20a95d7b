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

  /** Milliseconds of each of so many gets. */
  async time(ref: ObjectRef<Uint8Array>, gets: number): Promise<readonly number[]> {
    const times: number[] = [];
    for (let get = 0; get < gets; get += 1) {
      const start = performance.now();
      await this.#context.get(ref);
      times.push(performance.now() - start);
    }
    ref.release();
    return times;
  }

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
