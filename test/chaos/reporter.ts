import { delay } from '../../runtime/clock.ts';
import {
  type ActorContext,
  type ActorDefinition,
  type CallContext,
  defineActor,
  type Handle,
} from '../../runtime/index.ts';

/** A pause before each report, so that the work lasts through several deaths. */
const PAUSE_MS = 10;
const SAVE_EVERY = 20;

/** Notes reports once each; lives with the owner, which is not killed. */
class Collector {
  readonly #seen = new Map<string, Set<number>>();
  #repeated = 0;

  report(reporter: string, number: number): void {
    const seen = this.#seen.get(reporter) ?? new Set();
    this.#seen.set(reporter, seen);
    if (seen.has(number)) this.#repeated += 1;
    seen.add(number);
  }

  totals(): { readonly counts: readonly number[]; readonly repeated: number } {
    return { counts: [...this.#seen.values()].map(({ size }) => size), repeated: this.#repeated };
  }
}

export interface ReporterOptions {
  readonly collector: Handle<Collector>;
  readonly reports: number;
}

/** Makes its reports one after the other and goes on from its checkpoint when it dies. */
class Reporter {
  readonly #context: ActorContext;
  readonly #options: ReporterOptions;
  #next = 0;

  constructor(context: ActorContext, options: ReporterOptions) {
    this.#context = context;
    this.#options = options;
  }

  /** Sent again to the next life when this one dies meanwhile. */
  async work({ signal }: CallContext): Promise<number> {
    const { collector, reports } = this.#options;
    while (this.#next < reports) {
      await delay(this.#context.clock, PAUSE_MS, signal);
      await collector.report(this.#context.name, this.#next);
      this.#next += 1;
      if (this.#next % SAVE_EVERY === 0) await this.#context.saveCheckpoint();
    }
    return this.#context.epoch;
  }

  checkpoint(): number {
    return this.#next;
  }

  restore(next: number): void {
    this.#next = next;
  }
}

export const collector: ActorDefinition<undefined, Collector> = defineActor({
  type: 'chaos/collector',
  module: import.meta.url,
  methods: { report: 'idempotent', totals: 'idempotent' },
  create: () => new Collector(),
});

export const reporter: ActorDefinition<ReporterOptions, Reporter> = defineActor({
  type: 'chaos/reporter',
  module: import.meta.url,
  methods: { work: 'idempotent' },
  create: (context, options: ReporterOptions) => new Reporter(context, options),
});
