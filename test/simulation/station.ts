import type { Handle, SimulatedHost, Simulation } from '../../runtime/index.ts';
import { defineGuest, type Guest } from './guest.ts';
import type { Entry } from './journal.ts';
import type { Ledger } from './ledger.ts';

/** One host of a scenario, what it calls, and how it was kept from doing so. */
export class Station {
  readonly host: SimulatedHost;
  readonly rate: number;
  /** As called from this host in its present life. */
  ledgers: Map<string, Handle<Ledger>> = new Map();
  life = 0;
  /** It drains, and then ends. */
  leaving = false;
  readonly #simulation: Simulation;
  #guest: Handle<Guest> | undefined;
  #numbers = new Map<string, number>();
  #pausedMs = 0;
  #pausedAt: number | undefined;

  constructor(simulation: Simulation, host: SimulatedHost, rate: number) {
    this.#simulation = simulation;
    this.host = host;
    this.rate = rate;
  }

  /** The host has begun a life: nothing of the one before counts. */
  async settleIn(): Promise<void> {
    this.life += 1;
    this.leaving = false;
    this.#numbers = new Map();
    this.#guest = undefined;
    this.ledgers = new Map();
    const guest = defineGuest(this.ledgers);
    this.#guest = await this.host.system.spawn(guest, undefined, { isolation: 'inline' });
  }

  /** Gives this host a handle of its own for an actor that another one spawned. */
  async meet(name: string, ledger: Handle<Ledger>): Promise<void> {
    await this.#guest?.meet(name, ledger);
  }

  /** Lets the host's actors finish and move, and ends it. */
  async leave(timeoutMs: number): Promise<void> {
    this.leaving = true;
    const { system } = this.host;
    await system.drain({ timeoutMs });
    await system.close();
  }

  nextEntry(actor: string): Entry {
    const number = (this.#numbers.get(actor) ?? 0) + 1;
    this.#numbers.set(actor, number);
    return { caller: `${this.host.name}.${this.life}/${actor}`, number };
  }

  sleep(durationMs: number): Promise<void> {
    return new Promise((resolve) => this.#simulation.after(durationMs, resolve));
  }

  pause(): void {
    if (this.#pausedAt !== undefined || !this.host.alive) return;
    this.#pausedAt = this.#simulation.nowMs;
    this.host.pause();
  }

  resume(): void {
    if (this.#pausedAt === undefined) return;
    this.#pausedMs = this.pausedMs();
    this.#pausedAt = undefined;
    this.host.resume();
  }

  /** How long it has been paused in all. */
  pausedMs(): number {
    const present = this.#pausedAt === undefined ? 0 : this.#simulation.nowMs - this.#pausedAt;
    return this.#pausedMs + present;
  }
}
