import { type Clock, type ClockTimer, repeat } from '../clock.ts';

const SWEEP_MS = 1_000;
/** A sweep that comes so late comes before renewals that wait to be read: it spares them once. */
const LATE_MS = 2_000;
/** No holder is believed to want an object for longer without a word. */
const LEASE_MS_MAX = 3_600_000;

export interface LeaseBookOptions {
  readonly clock: Clock;
  /** Since when holders could have been heard; undefined while they can't be. */
  heardSince(): number | undefined;
  /** The last holder has gone. */
  onUnheld(id: string): void;
}

interface Lease {
  leaseMs: number;
  renewedAt: number;
}

/** Who wants which object, and until when unless they say so again. */
export class LeaseBook {
  readonly #options: LeaseBookOptions;
  readonly #leases = new Map<string, Map<string, Lease>>();
  /** Only while there is something to sweep. */
  #sweeping: ClockTimer | undefined;
  #sweptAt = 0;

  constructor(options: LeaseBookOptions) {
    this.#options = options;
  }

  /** A new object, which is forgotten when its last holder has gone. */
  open(id: string): void {
    this.#leases.set(id, new Map());
    if (this.#sweeping !== undefined) return;
    const { clock } = this.#options;
    this.#sweptAt = clock.now();
    this.#sweeping = repeat(clock, SWEEP_MS, () => this.#sweep());
  }

  /** Objects that aren't known, because they have been freed, are passed over. */
  hold(holder: string, id: string, leaseMs: number): void {
    const holders = this.#leases.get(id);
    const bounded =
      leaseMs === Number.POSITIVE_INFINITY ? leaseMs : Math.min(leaseMs, LEASE_MS_MAX);
    holders?.set(holder, { leaseMs: bounded, renewedAt: this.#options.clock.now() });
  }

  release(holder: string, id: string): void {
    const holders = this.#leases.get(id);
    if (holders?.delete(holder) && holders.size === 0) this.#end(id);
  }

  /** The holder is known to be gone. */
  releaseAll(holder: string): void {
    for (const id of this.#leases.keys()) this.release(holder, id);
  }

  holders(id: string): readonly string[] {
    return [...(this.#leases.get(id)?.keys() ?? [])];
  }

  close(): void {
    this.#leases.clear();
    this.#stopSweeping();
  }

  #sweep(): void {
    if (this.#leases.size === 0) this.#stopSweeping();
    const now = this.#options.clock.now();
    const late = now - this.#sweptAt > SWEEP_MS + LATE_MS;
    this.#sweptAt = now;
    const heardSince = this.#options.heardSince();
    if (late || heardSince === undefined) return;
    for (const [id, holders] of this.#leases) {
      for (const [holder, { leaseMs, renewedAt }] of holders) {
        if (now - Math.max(renewedAt, heardSince) > leaseMs) this.release(holder, id);
      }
    }
  }

  #stopSweeping(): void {
    this.#sweeping?.cancel();
    this.#sweeping = undefined;
  }

  #end(id: string): void {
    this.#leases.delete(id);
    this.#options.onUnheld(id);
  }
}
