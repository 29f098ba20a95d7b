import type { JobEvent } from '../../runtime/index.ts';
import { recogniseEvent } from '../observation/event-shapes.ts';
import { formatDuration } from '../output/quantity.ts';
import type { PlannedRun } from './planned-runs.ts';

interface ActiveRun {
  readonly startedAtMs: number;
  /** Done by its slowest replica, 0 to 1. */
  share: number;
  readonly shares: Map<string, number>;
}

/** How far a study is, and how long it will take. */
export class StudyProgress {
  readonly #runs: readonly PlannedRun[];
  readonly #cores: number;
  readonly #now: () => number;
  readonly #active = new Map<PlannedRun, ActiveRun>();
  readonly #done = new Set<PlannedRun>();
  /** Of this session's finished runs, by arm. */
  readonly #durationsMs = new Map<string, number[]>();
  #failed = 0;

  constructor(runs: readonly PlannedRun[], cores: number, now: () => number) {
    this.#runs = runs;
    this.#cores = cores;
    this.#now = now;
  }

  /** A run that an earlier session has finished. */
  skip(run: PlannedRun): void {
    this.#done.add(run);
  }

  start(run: PlannedRun): void {
    this.#active.set(run, { startedAtMs: this.#now(), share: 0, shares: new Map() });
  }

  /** Whether the run is a percent further now. */
  add(run: PlannedRun, event: JobEvent): boolean {
    const known = recogniseEvent(event);
    const active = this.#active.get(run);
    if (known?.type !== 'step' || !known.steps || active === undefined) return false;
    const before = active.share;
    active.shares.set(String(known.replica), known.step / known.steps);
    active.share = Math.min(...active.shares.values());
    return Math.floor(100 * active.share) !== Math.floor(100 * before);
  }

  /** Gives how long it took, in ms. */
  end(run: PlannedRun, outcome: 'finished' | 'failed' | 'interrupted'): number {
    const durationMs = this.#now() - (this.#active.get(run)?.startedAtMs ?? this.#now());
    this.#active.delete(run);
    if (outcome === 'interrupted') return durationMs;
    this.#done.add(run);
    if (outcome === 'failed') this.#failed += 1;
    else this.#durationsMs.set(run.arm, [...(this.#durationsMs.get(run.arm) ?? []), durationMs]);
    return durationMs;
  }

  get finished(): number {
    return this.#done.size;
  }

  /** Undefined until a run has ended, or has come so far that one can tell. */
  get leftMs(): number | undefined {
    const typicalMs = this.#typicalMs();
    if (typicalMs === undefined) return undefined;
    let coreMs = 0;
    for (const run of this.#runs) {
      if (this.#done.has(run)) continue;
      const own = this.#durationsMs.get(run.arm);
      const wholeMs = own === undefined ? typicalMs : mean(own);
      coreMs +=
        wholeMs * Math.min(run.cores, this.#cores) * (1 - (this.#active.get(run)?.share ?? 0));
    }
    return coreMs / this.#cores;
  }

  get active(): readonly { readonly arm: string; readonly seed: number; readonly share: number }[] {
    return [...this.#active].map(([{ arm, seed }, { share }]) => ({ arm, seed, share }));
  }

  describe(): string {
    const active = this.active.map(
      ({ arm, seed, share }) => `${arm} seed ${seed} ${Math.floor(100 * share)} %`,
    );
    const left = this.leftMs;
    return [
      `${this.finished}/${this.#runs.length} runs`,
      ...(this.#failed === 0 ? [] : [`${this.#failed} failed`]),
      ...active,
      ...(left === undefined ? [] : [`${formatDuration(left)} left`]),
    ].join('  ');
  }

  #typicalMs(): number | undefined {
    const ended = [...this.#durationsMs.values()].flat();
    if (ended.length > 0) return mean(ended);
    const guesses = [...this.#active.values()]
      .filter(({ share }) => share > 0)
      .map(({ share, startedAtMs }) => (this.#now() - startedAtMs) / share);
    return guesses.length > 0 ? mean(guesses) : undefined;
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
