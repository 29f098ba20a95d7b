import {
  type ActorDefinition,
  ActorPool,
  defineActor,
  defineJob,
  type Job,
} from 'codistill/runtime';
import * as v from 'valibot';

/** Counts primes, in a process of its own. */
class Counter {
  primesBetween(from: number, to: number): { readonly primes: number; readonly pid: number } {
    let primes = 0;
    for (let number = Math.max(from, 2); number < to; number += 1) {
      let divisor = 2;
      while (divisor * divisor <= number && number % divisor !== 0) divisor += 1;
      if (divisor * divisor > number) primes += 1;
    }
    return { primes, pid: process.pid };
  }
}

export const counter: ActorDefinition<undefined, Counter> = defineActor({
  type: 'pool/counter',
  module: import.meta.url,
  methods: { primesBetween: 'idempotent' },
  create: () => new Counter(),
});

const positive = v.pipe(v.number(), v.integer(), v.minValue(1));

const job: Job = defineJob({
  name: 'pool',
  description: 'Deal the counting of primes out to a pool of processes.',
  options: v.object({ actors: v.optional(positive, 2), to: v.optional(positive, 200_000) }),
  modules: [counter.module],
  async run({ system, options, emit }) {
    const { actors, to } = options;
    const spawn = () => system.spawn(counter, undefined, { placement: 'spread' });
    const handles = await Promise.all(Array.from({ length: actors }, spawn));
    // One that dies for good is replaced by another.
    await using pool = new ActorPool(handles, { replace: spawn });
    const width = Math.ceil(to / 10);
    const starts = Array.from({ length: 10 }, (_, index) => index * width);
    let sum = 0;
    for await (const part of pool.map(starts, (actor, from) =>
      actor.primesBetween(from, Math.min(from + width, to)),
    )) {
      sum += part.primes;
      emit({ type: 'part', primes: part.primes, process: part.pid });
    }
    emit({ type: 'sum', below: to, primes: sum });
  },
});

export default job;
