import { ObjectLostError } from '../../errors.ts';
import {
  type ActorContext,
  type ActorDefinition,
  createSimulation,
  defineActor,
  type Handle,
  type ObjectRef,
  type Random,
  type Simulation,
  type System,
} from '../../runtime/index.ts';

/** Small, so that many objects go in chunks. */
const PAYLOAD_BYTES_MAX = 8 << 10;
const STEPS = 50;
/** Some longer than any ticket. */
const ALONE_MS = [10, 8_000, 30_000, 90_000] as const;
/** Tickets, leases and idle copies have all ended after that. */
const CALM_MS = 200_000;

export interface ObjectReport {
  readonly violations: readonly string[];
  readonly reads: number;
  /** Reads that failed because the object's node had died. */
  readonly lost: number;
  readonly crashes: number;
}

type Value = Float64Array;
type Wrapped = { readonly inner: ObjectRef<Value> };

/** Puts, keeps and reads objects in an actor's process. */
class Vault {
  readonly #context: ActorContext;
  readonly #kept = new Map<number, ObjectRef<Value>>();

  constructor(context: ActorContext) {
    this.#context = context;
  }

  async make(mark: number, length: number): Promise<ObjectRef<Value>> {
    return (await this.#context.put(new Float64Array(length).fill(mark))).move();
  }

  async wrap(inner: ObjectRef<Value>): Promise<ObjectRef<Wrapped>> {
    return (await this.#context.put({ inner: inner.move() })).move();
  }

  async read(ref: ObjectRef<Value>): Promise<number> {
    using read = ref;
    return (await this.#context.get(read)).at(-1)!;
  }

  keep(key: number, ref: ObjectRef<Value>): void {
    this.#kept.set(key, ref);
  }

  /** Undefined when its keeper has died since. */
  giveBack(key: number): ObjectRef<Value> | undefined {
    const ref = this.#kept.get(key);
    this.#kept.delete(key);
    return ref?.move();
  }
}

const vault: ActorDefinition<undefined, Vault> = defineActor({
  type: 'simulation/vault',
  module: import.meta.url,
  methods: { make: 'call', wrap: 'call', read: 'call', keep: 'call', giveBack: 'call' },
  create: (context) => new Vault(context),
});

interface Held {
  readonly mark: number;
  readonly ref: ObjectRef<Value>;
}

/** Objects that travel between hosts whose processes die, drawn from the seed; then a calm. */
export async function runObjectScenario(
  seed: number,
  onTrace?: (line: string) => void,
): Promise<ObjectReport> {
  const faults = { loss: 0.02, delayMs: (random: Random) => random.between(0.2, 30) };
  const payloadBytesMax = PAYLOAD_BYTES_MAX;
  const simulation = createSimulation({
    seed,
    faults,
    payloadBytesMax,
    ...(onTrace && { onTrace }),
  });
  return await new ObjectScenario(simulation).run();
}

class ObjectScenario {
  readonly #simulation: Simulation;
  readonly #random: Random;
  readonly #violations: string[] = [];
  /** By the system of the first host, which never crashes. */
  readonly #held: Held[] = [];
  readonly #vaults: Handle<Vault>[] = [];
  #reads = 0;
  #lost = 0;
  #crashes = 0;
  #lastMark = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#random = simulation.random;
  }

  async run(): Promise<ObjectReport> {
    const simulation = this.#simulation;
    for (const name of ['n1', 'n2', 'n3']) await simulation.startHost({ name, actors: [vault] });
    await simulation.run(this.#work(), { withinMs: 3_600_000 });
    await simulation.run(this.#checkHeld());
    for (const { ref } of this.#held) ref.release();
    await simulation.runFor(CALM_MS);
    for (const { host } of this.#living()) {
      for (const { id, holders } of host.system.objects()) {
        this.#violations.push(
          `${host.name} still has ${id}, held by ${holders.join() || 'nobody'}`,
        );
      }
    }
    const closing = this.#living().map(({ host }) => host.system.close());
    await simulation.run(Promise.all(closing), { withinMs: 60_000 });
    const [violations, reads, lost, crashes] = [
      this.#violations,
      this.#reads,
      this.#lost,
      this.#crashes,
    ];
    return { violations, reads, lost, crashes };
  }

  get #system(): System {
    return this.#simulation.hosts[0]!.system;
  }

  #living() {
    return this.#simulation.hosts.filter(({ alive }) => alive).map((host) => ({ host }));
  }

  #isAlive(nodeId: string): boolean {
    return this.#living().some(({ host }) => host.system.nodeId === nodeId);
  }

  async #work(): Promise<void> {
    await this.#system.waitForNodes(3, { timeoutMs: 20_000 });
    for (const host of this.#simulation.hosts) {
      const isolation = this.#random.pick(['process', 'inline'] as const);
      const placement = { nodeId: host.system.nodeId };
      const options = { placement, isolation, maxRestarts: 1_000_000 };
      this.#vaults.push(await this.#system.spawn(vault, undefined, options));
    }
    for (let step = 0; step < STEPS; step += 1) {
      try {
        await this.#step();
      } catch (error) {
        // A vault or its node died meanwhile: that is told by the calls, and judged by the reads.
        this.#simulation.trace(`step ${step}: ${error}`);
      }
      await this.#sleep(this.#random.between(0, 2_000));
    }
  }

  async #step(): Promise<void> {
    const random = this.#random;
    const actor = random.pick(this.#vaults);
    const held = this.#held.length > 0 ? random.pick(this.#held) : undefined;
    const kind = random.next();
    if (held === undefined || kind < 0.2) await this.#make(actor);
    else if (kind < 0.4) await this.#read(held);
    else if (kind < 0.5) await actor.read(held.ref);
    else if (kind < 0.65) await this.#wrap(held, actor);
    else if (kind < 0.8) await this.#lend(held, actor);
    else if (kind < 0.9) this.#release(held);
    else await this.#crash();
  }

  async #make(actor: Handle<Vault>): Promise<void> {
    this.#lastMark += 1;
    const mark = this.#lastMark;
    // Some go along with their reference, some in one piece, some in chunks.
    const length = this.#random.pick([10, 900, 5_000]);
    const ref = this.#random.chance(0.5)
      ? await this.#system.put(new Float64Array(length).fill(mark))
      : await actor.make(mark, length);
    this.#held.push({ mark, ref });
  }

  async #read({ mark, ref }: Held): Promise<void> {
    this.#reads += 1;
    try {
      const last = (await this.#system.get(ref)).at(-1);
      if (last !== mark) this.#violations.push(`object ${ref.id} holds ${last}, not ${mark}`);
    } catch (error) {
      const died = error instanceof ObjectLostError && error.reason === 'owner-died';
      if (!died || this.#isAlive(ref.node)) this.#violations.push(`object ${ref.id}: ${error}`);
      else this.#lost += 1;
    }
  }

  /** Only the outer object holds the inner one for a while. */
  async #wrap(held: Held, actor: Handle<Vault>): Promise<void> {
    const outer = this.#random.chance(0.5)
      ? await this.#system.put<Wrapped>({ inner: held.ref })
      : await actor.wrap(held.ref);
    this.#release(held);
    await this.#sleep(this.#random.pick(ALONE_MS));
    try {
      const { inner } = await this.#system.get(outer);
      outer.release();
      this.#held.push({ mark: held.mark, ref: inner });
      await this.#read(this.#held.at(-1)!);
    } catch (error) {
      if (this.#isAlive(outer.node)) this.#violations.push(`outer object ${outer.id}: ${error}`);
      outer.release();
    }
  }

  /** Only the actor holds it for a while. */
  async #lend(held: Held, actor: Handle<Vault>): Promise<void> {
    await actor.keep(held.mark, held.ref);
    this.#release(held);
    await this.#sleep(this.#random.pick(ALONE_MS));
    const ref = await actor.giveBack(held.mark);
    if (ref === undefined) return;
    this.#held.push({ mark: held.mark, ref });
    await this.#read(this.#held.at(-1)!);
  }

  #release(held: Held): void {
    held.ref.release();
    this.#held.splice(this.#held.indexOf(held), 1);
  }

  /** Of an actor's process, or of a host but the first, which comes back under another id. */
  async #crash(): Promise<void> {
    this.#crashes += 1;
    const host = this.#random.pick(this.#simulation.hosts);
    if (host === this.#simulation.hosts[0] || this.#random.chance(0.5)) {
      host.crashActor();
      return;
    }
    host.crash();
    await this.#sleep(this.#random.between(100, 10_000));
    await host.start();
  }

  async #checkHeld(): Promise<void> {
    for (const held of this.#held) await this.#read(held);
  }

  #sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => this.#simulation.after(durationMs, resolve));
  }
}
