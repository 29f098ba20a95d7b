import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { JobEvent } from '../../runtime/index.ts';
import type { PlannedRun } from './planned-runs.ts';
import { type RunOutcome, startRun } from './run-process.ts';
import { keepFailure, readRunState, removeLargeFiles } from './study-directory.ts';

/** What happens to a study's runs, for whoever shows it. */
export interface RunWatcher {
  onStart(run: PlannedRun): void;
  onEvent(run: PlannedRun, event: JobEvent): void;
  onEnd(run: PlannedRun, outcome: RunOutcome): void;
}

export interface RunLimits {
  /** That runs may keep busy together; a run that needs more has the machine to itself. */
  readonly cores: number;
  /** Of a server: one run at a time in each. Undefined without a server. */
  readonly lanes?: readonly RunLane[] | undefined;
}

/** A namespace of a server, as arguments of `actorctl`. */
export interface RunLane {
  /** For a new run. */
  readonly run: readonly string[];
  /** For one that goes on; it knows its namespace. */
  readonly resume: readonly string[];
}

/**
 * Does the runs that aren't finished, as many at once as the limits allow, each in a process of its own. One that
 * fails doesn't stop the others. When the signal aborts, all drain and checkpoint.
 * @throws UserInputError before anything starts when a directory holds a run with other options.
 */
export async function doRuns(
  runs: readonly PlannedRun[],
  options: {
    readonly limits: RunLimits;
    readonly keepsCheckpoints: boolean;
    readonly cwd: string;
    readonly signal: AbortSignal;
    readonly watcher: RunWatcher;
  },
): Promise<void> {
  const waiting: PlannedRun[] = [];
  for (const run of runs) {
    const { kind } = await readRunState(run);
    if (kind !== 'finished') waiting.push(run);
    else if (!options.keepsCheckpoints) await removeLargeFiles(run);
  }
  const active = new Set<Promise<void>>();
  const places = new Places(runs, options.limits);
  while (!options.signal.aborted && (waiting.length > 0 || active.size > 0)) {
    const index = waiting.findIndex((run) => places.fits(run));
    if (index < 0) {
      await Promise.race(active);
      continue;
    }
    const [run] = waiting.splice(index, 1) as [PlannedRun];
    const lane = places.take(run);
    const begun = existsSync(join(run.path, 'run.json'));
    const doing: Promise<void> = doRun(run, begun, lane, options).finally(() => {
      places.free(run);
      active.delete(doing);
    });
    active.add(doing);
  }
  await Promise.all(active);
}

async function doRun(
  run: PlannedRun,
  resumed: boolean,
  lane: RunLane | undefined,
  { keepsCheckpoints, cwd, signal, watcher }: Parameters<typeof doRuns>[1],
): Promise<void> {
  watcher.onStart(run);
  const outcome = await startRun(run, {
    resumed,
    args: (resumed ? lane?.resume : lane?.run) ?? [],
    cwd,
    signal,
    onEvent: (event) => watcher.onEvent(run, event),
  });
  if (outcome.kind === 'failed') keepFailure(run, outcome.cause);
  if (outcome.kind === 'finished' && !keepsCheckpoints) await removeLargeFiles(run);
  watcher.onEnd(run, outcome);
}

/** Who may begin: by cores on this machine, by namespaces on a server. */
class Places {
  readonly #limits: RunLimits;
  /** Always the same one for a run, as a run that is resumed stays in its namespace. */
  readonly #laneOf = new Map<PlannedRun, RunLane>();
  readonly #lanesTaken = new Set<RunLane>();
  #coresTaken = 0;

  constructor(runs: readonly PlannedRun[], limits: RunLimits) {
    this.#limits = limits;
    const { lanes = [] } = limits;
    for (const [index, run] of runs.entries()) {
      const lane = lanes[index % lanes.length];
      if (lane !== undefined) this.#laneOf.set(run, lane);
    }
  }

  fits(run: PlannedRun): boolean {
    const lane = this.#laneOf.get(run);
    if (lane !== undefined) return !this.#lanesTaken.has(lane);
    return this.#coresTaken === 0 || this.#coresTaken + run.cores <= this.#limits.cores;
  }

  take(run: PlannedRun): RunLane | undefined {
    const lane = this.#laneOf.get(run);
    if (lane !== undefined) this.#lanesTaken.add(lane);
    this.#coresTaken += run.cores;
    return lane;
  }

  free(run: PlannedRun): void {
    const lane = this.#laneOf.get(run);
    if (lane !== undefined) this.#lanesTaken.delete(lane);
    this.#coresTaken -= run.cores;
  }
}
