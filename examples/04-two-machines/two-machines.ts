import {
  type ActorContext,
  type ActorDefinition,
  createRandom,
  defineActor,
  defineJob,
  type Job,
} from 'codistill/runtime';
import * as v from 'valibot';

interface Thrower {
  /** How many of `count` darts hit the quarter of a circle. */
  throwDarts(count: number, seed: number): { readonly hits: number; readonly node: string };
}

export const thrower: ActorDefinition<undefined, Thrower> = defineActor({
  type: 'two-machines/thrower',
  module: import.meta.url,
  // The same darts may be thrown twice, so a call whose machine dies is made again on another one.
  methods: { throwDarts: 'idempotent' },
  create: ({ nodeId }: ActorContext) => ({
    throwDarts(count, seed) {
      const random = createRandom(seed);
      let hits = 0;
      for (let dart = 0; dart < count; dart++) {
        if (random.next() ** 2 + random.next() ** 2 < 1) hits++;
      }
      return { hits, node: nodeId };
    },
  }),
});

const positive = v.pipe(v.number(), v.integer(), v.minValue(1));

const job: Job = defineJob({
  name: 'two-machines',
  description: 'Estimate π by throwing darts on every node.',
  options: v.object({ rounds: v.optional(positive, 5), darts: v.optional(positive, 10_000_000) }),
  modules: [thrower.module],
  async run({ system, options, emit }) {
    const names = new Map(system.nodes().map(({ nodeId, nodeName }) => [nodeId, nodeName]));
    const throwers = await Promise.all(
      [...names].map(() => system.spawn(thrower, undefined, { placement: 'spread' })),
    );
    let hits = 0;
    for (let round = 1; round <= options.rounds; round++) {
      const seeds = throwers.map((_, index) => round * throwers.length + index);
      const thrown = await Promise.all(
        throwers.map((each, index) => each.throwDarts(options.darts, seeds[index] as number)),
      );
      hits += thrown.reduce((sum, result) => sum + result.hits, 0);
      const pi = (4 * hits) / (round * throwers.length * options.darts);
      emit({ type: 'round', round, pi, nodes: thrown.map(({ node }) => names.get(node) ?? node) });
    }
  },
});

export default job;
