import type { Handle } from '../../runtime/index.ts';
import type { Patience } from '../retry.ts';
import type { Carriage } from '../student.ts';
import { TeacherFeed } from './teacher-feed.ts';
import type { TeacherSnapshot } from './teacher-snapshot.ts';
import type { DeltaEncoder, VersionedWeights, Weights } from './weight-delta.ts';
import { type PublishedTotals, WeightPublisher } from './weight-publisher.ts';

/**
 * How a student chooses its teachers' version. `scheduled`: from step k·T on exactly the version of step (k−1)·T,
 * waiting for a peer that is more than one interval behind, so that runs repeat bit for bit; of a teacher that trains
 * for fewer steps the last version that it published. `freshest`: whatever
 * has arrived, as long as it isn't older than allowed. `final`: the weights that the teacher ended with, which are
 * there before the student's first step (offline distillation, in two phases).
 */
export type ExchangeMode = 'scheduled' | 'freshest' | 'final';
export const exchangeModes: readonly ExchangeMode[] = ['scheduled', 'freshest', 'final'];

/** What a student does without a teacher that is too old: go on without it, or wait for a newer version of it. */
export type BeyondStaleness = 'skip' | 'wait';
export const beyondStaleness: readonly BeyondStaleness[] = ['skip', 'wait'];

export interface WeightExchangeOptions {
  readonly mode: ExchangeMode;
  /** T, the exchange interval. */
  readonly intervalSteps: number;
  readonly burnInSteps: number;
  /** Of this replica's whole training. */
  readonly steps: number;
  /** Where this replica publishes; nowhere when it has no students. */
  readonly snapshot?: Handle<TeacherSnapshot>;
  readonly teachers: readonly {
    readonly snapshot: Handle<TeacherSnapshot>;
    /** Of its whole training. */
    readonly steps: number;
  }[];
  /** How old a teacher may be in the mode `freshest`, at least T; null: any age. */
  readonly stalenessStepsMax: number | null;
  readonly beyondStaleness: BeyondStaleness;
  readonly carries: Carriage;
  /** Whether a scheduled exchange ends when what it published is saved. */
  readonly awaitsDelivery: boolean;
  readonly encoder: DeltaEncoder;
  /** Puts a teacher's weights where the compiled step reads them. */
  readonly load: (teacher: number, weights: Weights) => void;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** From a checkpoint. */
  readonly resumed: ExchangeState;
}

export interface ExchangeState {
  /** The step of the last exchange; −1 before the first. */
  readonly exchangedAt: number;
  /** The version of each teacher in use; −1 for none. */
  readonly teacherVersions: readonly number[];
  readonly published: PublishedTotals;
}

/** What a replica does with its peers between two steps: publish its weights, take in theirs. */
export class WeightExchange {
  readonly #options: WeightExchangeOptions;
  readonly #publisher: WeightPublisher | undefined;
  readonly #feeds: readonly TeacherFeed[];
  readonly #teacherVersions: number[];
  #exchangedAt: number;
  /** Versions fetched by `freshest` that wait for the next step. */
  readonly #staged: (VersionedWeights | undefined)[] = [];
  readonly #fetching: boolean[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(options: WeightExchangeOptions) {
    const { snapshot, encoder, patience, signal, resumed } = options;
    this.#options = options;
    const totals = resumed.published;
    if (snapshot !== undefined) {
      const onFailure = (error: unknown): void => this.#fail(error);
      const publisher = { snapshot, encoder, patience, signal, totals, onFailure };
      this.#publisher = new WeightPublisher(publisher);
    }
    this.#feeds = options.teachers.map(
      (teacher) =>
        new TeacherFeed({
          snapshot: teacher.snapshot,
          patience,
          signal,
          versionsOnly: options.carries === 'predictions',
        }),
    );
    this.#exchangedAt = resumed.exchangedAt;
    this.#teacherVersions = [...resumed.teacherVersions];
  }

  get state(): ExchangeState {
    return {
      exchangedAt: this.#exchangedAt,
      teacherVersions: [...this.#teacherVersions],
      published: this.#publisher?.totals ?? this.#options.resumed.published,
    };
  }

  /** Whether weights are on their way, out or in. */
  get transferring(): boolean {
    return this.#publisher?.busy === true || this.#feeds.some((feed) => feed.fetching);
  }

  /**
   * How much each teacher counts in this step: alike, but those that are too old not at all. Undefined when none
   * counts: in burn-in, and without a limit of age until all teachers are there.
   */
  teacherShares(step: number): readonly number[] | undefined {
    if (step < this.#options.burnInSteps) return undefined;
    const used = this.#teacherVersions.map(
      (version) => version >= 0 && !this.#isStale(step, version),
    );
    const count = used.filter((each) => each).length;
    if (count === 0) return undefined;
    if (this.#options.stalenessStepsMax === null && count < used.length) return undefined;
    return used.map((each) => (each ? 1 / count : 0));
  }

  /** How many steps the oldest teacher in use is behind this student; 0 for one that is ahead. */
  stalenessSteps(step: number): number {
    const used = this.#teacherVersions.filter(
      (version) => version >= 0 && !this.#isStale(step, version),
    );
    return Math.max(0, step - Math.min(...used));
  }

  /** After a restart that goes on at `step`: brings snapshot and teachers to where they were. */
  async resume(step: number, weights: Weights): Promise<void> {
    this.#publisher?.resume();
    // The version of the checkpoint may be gone: this mode promises no more than a fresh one.
    if (this.#options.mode === 'freshest') this.#teacherVersions.fill(-1);
    await this.moveTo(step, weights, { again: true });
  }

  /**
   * Training goes on at `step` out of turn, with `weights`: takes the teachers that a run which came there step by step
   * has. With `again` those that are in use already as well: nothing of them is here.
   */
  async moveTo(step: number, weights: Weights, { again = false } = {}): Promise<void> {
    const { mode } = this.#options;
    await this.#publishMissed(step, weights);
    // A checkpoint may be of before or after the exchange of its step.
    const isPresent = mode !== 'scheduled' || this.#exchangedAt === step;
    await this.#takeTeachers(
      isPresent ? undefined : this.#versionAt(this.#lastVersion(step)),
      again,
    );
  }

  /** First, because the students that wait for a version may be those that this one waits for. */
  async #publishMissed(step: number, weights: Weights): Promise<void> {
    const { mode, intervalSteps, burnInSteps } = this.#options;
    const missed = this.#lastVersion(step);
    if (mode === 'final' || missed <= this.#exchangedAt) return;
    if (mode === 'scheduled' && missed + 2 * intervalSteps <= burnInSteps) return;
    await this.#publisher?.publishMissed(missed, weights, step);
    this.#exchangedAt = missed;
  }

  /** The teachers' version that is in use from the scheduled exchange of `step` on; undefined when it changes none. */
  #versionAt(step: number): number | undefined {
    const { intervalSteps, burnInSteps } = this.#options;
    const version = step - intervalSteps;
    return version >= 0 && step + intervalSteps > burnInSteps ? version : undefined;
  }

  /** Takes the teachers' `version`, the last one of those that ended before it; without it stays with the present ones. */
  async #takeTeachers(due: number | undefined, again = false): Promise<void> {
    for (const [teacher, current] of this.#teacherVersions.entries()) {
      const version = due === undefined ? current : Math.min(due, this.#lastVersionOf(teacher));
      if (version >= 0 && (again || version !== current)) await this.#take(teacher, version);
    }
  }

  /** What is due before the step numbered `step` (the first is 0). */
  async beforeStep(step: number, weights: () => Weights): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    switch (this.#options.mode) {
      case 'scheduled':
        return await this.#beforeScheduledStep(step, weights);
      case 'freshest':
        return await this.#beforeFreshestStep(step, weights);
      case 'final':
        if (step === 0) await this.#takeFinalVersions();
    }
  }

  /** What is due after the last step. */
  async afterTraining(steps: number, weights: () => Weights): Promise<void> {
    if (this.#options.mode === 'final') await this.#publisher?.publish(weights(), steps);
    await this.settled();
  }

  /** Resolves when nothing is on its way. */
  async settled(): Promise<void> {
    await this.#publisher?.settled();
  }

  async #beforeScheduledStep(step: number, weights: () => Weights): Promise<void> {
    const { intervalSteps, burnInSteps, steps } = this.#options;
    if (step % intervalSteps !== 0 || this.#exchangedAt === step) return;
    await this.#takeTeachers(this.#versionAt(step));
    // The version of this step is in use from step + T until step + 2T, the last one for as long as students train.
    if (step + 2 * intervalSteps > burnInSteps || step === this.#lastVersion(steps)) {
      await this.#publisher?.publish(weights(), step);
      for (const [teacher, feed] of this.#feeds.entries()) {
        if (step <= this.#lastVersionOf(teacher)) feed.fetchAhead(step);
      }
      if (this.#options.awaitsDelivery) await this.settled();
    }
    this.#exchangedAt = step;
  }

  #lastVersionOf(teacher: number): number {
    return this.#lastVersion(this.#options.teachers[teacher]!.steps);
  }

  /** Of the last exchange before `steps` steps are done. */
  #lastVersion(steps: number): number {
    const { intervalSteps } = this.#options;
    return Math.ceil(steps / intervalSteps - 1) * intervalSteps;
  }

  async #beforeFreshestStep(step: number, weights: () => Weights): Promise<void> {
    const { intervalSteps } = this.#options;
    if (step % intervalSteps === 0 && this.#exchangedAt !== step) {
      // A version still on its way is not waited for: the next one carries the difference. But where students wait
      // for one another each needs all versions of the others, or two could wait for ever.
      const waits = this.#options.beyondStaleness === 'wait';
      if (this.#publisher !== undefined && (waits || !this.#publisher.busy))
        await this.#publisher.publish(weights(), step);
      this.#exchangedAt = step;
    }
    for (const [teacher, feed] of this.#feeds.entries()) {
      const staged = this.#staged[teacher];
      if (staged !== undefined) {
        this.#staged[teacher] = undefined;
        this.#options.load(teacher, staged.weights);
        this.#teacherVersions[teacher] = staged.version;
      }
      this.#stageNewer(teacher, feed);
    }
    if (this.#options.beyondStaleness === 'wait') await this.#awaitStaleTeachers(step);
  }

  async #awaitStaleTeachers(step: number): Promise<void> {
    const { stalenessStepsMax, burnInSteps } = this.#options;
    if (stalenessStepsMax === null || step < burnInSteps) return;
    for (const [teacher, feed] of this.#feeds.entries()) {
      const version = this.#teacherVersions[teacher] as number;
      if (version >= 0 && !this.#isStale(step, version)) continue;
      const newer = await feed.takeFrom(Math.max(0, step - stalenessStepsMax));
      this.#options.load(teacher, newer.weights);
      this.#teacherVersions[teacher] = newer.version;
      // What was fetched in the background meanwhile is no newer.
      this.#staged[teacher] = undefined;
    }
  }

  async #takeFinalVersions(): Promise<void> {
    for (const [teacher, { steps }] of this.#options.teachers.entries()) {
      if (this.#teacherVersions[teacher] !== steps) await this.#take(teacher, steps);
    }
  }

  #isStale(step: number, version: number): boolean {
    const { mode, stalenessStepsMax } = this.#options;
    return mode === 'freshest' && stalenessStepsMax !== null && step - version > stalenessStepsMax;
  }

  /** A replica that can't publish must not wait for peers: they may wait for what it has not published. */
  #fail(error: unknown): void {
    this.#failure = { error };
    for (const feed of this.#feeds) feed.giveUp(error);
  }

  /** Fetches in the background; at most one version at a time of each teacher. */
  #stageNewer(teacher: number, feed: TeacherFeed): void {
    const version = this.#teacherVersions[teacher] as number;
    if (this.#fetching[teacher] || feed.newestVersion <= version) return;
    this.#fetching[teacher] = true;
    feed
      .takeNewer(version)
      .then(
        (newer) => {
          this.#staged[teacher] = newer;
        },
        (error: unknown) => this.#fail(error),
      )
      .finally(() => {
        this.#fetching[teacher] = false;
      });
  }

  async #take(teacher: number, version: number): Promise<void> {
    const feed = this.#feeds[teacher] as TeacherFeed;
    const taken = await feed.take(version);
    this.#options.load(teacher, taken.weights);
    this.#teacherVersions[teacher] = taken.version;
  }
}
