/** Checked by `npm run check` alone: each line below `@ts-expect-error` must not compile. */
import * as v from 'valibot';
import {
  ActorPool,
  type CallContext,
  createQueue,
  defineActor,
  type Handle,
  type OwnedHandle,
  type RemoteStream,
  type System,
  watch,
  withCallOptions,
} from '../../../runtime/index.ts';

class Shop {
  order(amount: number, note: string | undefined): string {
    return `${amount} ${note}`;
  }
  async total(prices: AsyncIterable<number>, _context: CallContext): Promise<number> {
    for await (const price of prices) return price;
    return 0;
  }
  async *bills(_since: number): AsyncGenerator<{ readonly sum: number }> {}
  partner(other: Handle<Shop>): Handle<Shop> {
    return other;
  }
  checkpoint(): number {
    return 1;
  }
}

const options = v.object({ currency: v.optional(v.string(), 'crowns') });
const base = { type: 'types/shop', module: import.meta.url, options };

export const shop = defineActor({
  ...base,
  concurrencyGroups: { desk: 2 },
  methods: {
    order: { kind: 'call', group: 'desk', input: [v.number(), v.optional(v.string())] },
    total: 'call',
    bills: 'stream',
    partner: 'call',
  },
  // The schema's output, in which nothing is optional any more.
  create: (_context, { currency }) => {
    currency satisfies string;
    return new Shop();
  },
});

const create = (): Shop => new Shop();
// @ts-expect-error an async generator is a stream
defineActor({ ...base, create, methods: { bills: 'call' } });
// @ts-expect-error what is no async generator is none
defineActor({ ...base, create, methods: { order: { kind: 'stream' } } });
// @ts-expect-error the lifecycle is not for callers
defineActor({ ...base, create, methods: { checkpoint: 'call' } });
// @ts-expect-error a schema of another type than the parameter's
defineActor({ ...base, create, methods: { order: { kind: 'call', input: [v.string()] } } });

export async function useShop(system: System): Promise<void> {
  await using own = await system.spawn(shop, {});
  own satisfies OwnedHandle<Shop>;
  await system.spawn(shop, { currency: 'marks' }, { placement: { beside: own } });
  // @ts-expect-error options are typed by what their schema takes
  await system.spawn(shop, { currency: 5 });
  // @ts-expect-error there is no such placement
  await system.spawn(shop, {}, { placement: 'anywhere' });
  // @ts-expect-error there is no such placement rule
  await system.spawn(shop, {}, { placement: { nodes: 'n1' } });

  (await own.order(1, undefined)) satisfies string;
  // @ts-expect-error all parameters are given, optional ones as undefined
  await own.order(1);
  // @ts-expect-error of another type
  await own.order('1', undefined);
  // @ts-expect-error not for callers
  await own.checkpoint();

  async function* prices(): AsyncGenerator<number> {}
  (await own.total(prices())) satisfies number;
  // @ts-expect-error items of another type
  await own.total(['5'].values());
  await using bills = own.bills(0);
  bills satisfies RemoteStream<{ readonly sum: number }>;

  const borrowed = await own.partner(own);
  borrowed satisfies Handle<Shop>;
  // @ts-expect-error a handle that travelled must not end the actor
  await using _stolen = borrowed;

  await withCallOptions(own, {
    retry: { attempts: 2, backoffMs: 1, errors: [RangeError, 'E'] },
  }).order(1, 'note');
  // @ts-expect-error there is no such option
  withCallOptions(own, { timeout: 5 });

  (await watch(own).ended).message satisfies string;
  const pool = new ActorPool([own, borrowed]);
  (await pool.submit((actor) => actor.order(1, undefined))) satisfies string;
  await using queue = await createQueue<number>(system, { itemsMax: 1 });
  // @ts-expect-error an item of another type
  await queue.put('x');
}
