import { type ActorDefinition, defineActor, defineJob, type Job } from 'codistill/runtime';
import * as v from 'valibot';

/** Takes a stream of numbers and gives one of means, in a process of its own. */
class Smoother {
  async *means(numbers: AsyncIterable<number>, window: number): AsyncGenerator<number> {
    const last: number[] = [];
    for await (const number of numbers) {
      last.push(number);
      if (last.length > window) last.shift();
      if (last.length === window) yield last.reduce((sum, each) => sum + each, 0) / window;
    }
  }
}

export const smoother: ActorDefinition<undefined, Smoother> = defineActor({
  type: 'streams/smoother',
  module: import.meta.url,
  methods: { means: 'stream' },
  create: () => new Smoother(),
});

/** Measures without an end, but only as far ahead as the actor takes it. */
class Sensor {
  measured = 0;
  readonly ended = Promise.withResolvers<void>();

  async *values(): AsyncGenerator<number> {
    try {
      for (; ; this.measured += 1) yield Math.sin(this.measured / 10);
    } finally {
      this.ended.resolve();
    }
  }
}

const positive = v.pipe(v.number(), v.integer(), v.minValue(1));

const job: Job = defineJob({
  name: 'streams',
  description: 'A stream to an actor and one back, until there is enough.',
  options: v.object({ window: v.optional(positive, 4), enough: v.optional(positive, 5) }),
  modules: [smoother.module],
  async run({ system, options, emit }) {
    await using actor = await system.spawn(smoother, undefined);
    const sensor = new Sensor();
    let seen = 0;
    for await (const mean of actor.means(sensor.values(), options.window)) {
      emit({ type: 'mean', mean: Number(mean.toFixed(4)) });
      seen += 1;
      if (seen === options.enough) break;
    }
    // Leaving the loop ends the stream back, and with it the one to the actor.
    await sensor.ended.promise;
    emit({ type: 'ended', measured: sensor.measured });
  },
});

export default job;
