import type { TensorData } from '../../compiler/index.ts';
import { type ActorContext, type ActorDefinition, defineActor } from '../../runtime/index.ts';
import type { PredictionAnswer, Predictor, PredictorOptions } from '../predictor.ts';
import {
  applyDelta,
  type VersionedWeights,
  type WeightDelta,
  type WeightShapes,
  type Weights,
} from './weight-delta.ts';

export interface TeacherSnapshotOptions {
  /** The replica whose weights are kept. */
  readonly replica: string;
  readonly shapes: WeightShapes;
  /** Newest versions kept: a student that restarts from its checkpoint asks for older ones. */
  readonly versionsMax: number;
  /** Of the replica's model as it answers with predictions. */
  readonly predictor?: PredictorOptions;
}

export type ApplyAnswer =
  | { readonly status: 'applied'; readonly version: number }
  /** The delta's base is not here, or its checksum failed: send a full snapshot. */
  | { readonly status: 'gap'; readonly reason: string };

/**
 * Keeps the freshest weights of one replica and the few versions before. Students may take a version as soon as it is
 * here; the Trainer hears of it once it is saved, so that it keeps until then what a restart may have lost.
 */
export class TeacherSnapshot {
  readonly #context: ActorContext;
  readonly #options: TeacherSnapshotOptions;
  /** Oldest first. */
  #versions: VersionedWeights[] = [];
  #savedVersion = -1;
  #predictor: Predictor | undefined;
  /** Wakes the watchers; replaced at each version. */
  #arrival: PromiseWithResolvers<void> = Promise.withResolvers();

  constructor(context: ActorContext, options: TeacherSnapshotOptions) {
    this.#context = context;
    this.#options = options;
  }

  /**
   * Resolves when the version is saved. One call at a time, while students read.
   * @throws what the attempt to save failed of.
   */
  async apply(delta: WeightDelta): Promise<ApplyAnswer> {
    const answer = this.#take(delta);
    if (answer.status === 'applied' && answer.version > this.#savedVersion) {
      await this.#context.saveCheckpoint();
      this.#savedVersion = answer.version;
    }
    return answer;
  }

  #take(delta: WeightDelta): ApplyAnswer {
    const newest = this.#versions.at(-1);
    // A Trainer that went back to its checkpoint publishes again what is already here.
    if (newest !== undefined && delta.version <= newest.version) {
      return { status: 'applied', version: newest.version };
    }
    if (delta.baseVersion !== null && delta.baseVersion !== newest?.version) {
      const have = newest === undefined ? 'nothing' : `version ${newest.version}`;
      return { status: 'gap', reason: `delta on version ${delta.baseVersion}, have ${have}` };
    }
    let next: VersionedWeights;
    try {
      next = applyDelta(newest, delta, this.#options.shapes);
    } catch (error) {
      return { status: 'gap', reason: error instanceof Error ? error.message : String(error) };
    }
    this.#versions = [...this.#versions, next].slice(-this.#options.versionsMax);
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
    return { status: 'applied', version: next.version };
  }

  /** Its number alone. */
  latestVersion(): number | null {
    return this.#versions.at(-1)?.version ?? null;
  }

  /** The newest version, or null before the first has arrived. */
  weights(): VersionedWeights | null {
    return this.#versions.at(-1) ?? null;
  }

  /** Exactly `version`; null when it is not here (not yet, or no longer). */
  weightsOf(version: number): VersionedWeights | null {
    return this.#versions.find((entry) => entry.version === version) ?? null;
  }

  /**
   * What `version`, or the newest after it, predicts for a batch; null when neither is here. Students run one after
   * the other.
   */
  async predict(
    version: number,
    columns: Readonly<Record<string, TensorData>>,
    recurrentState: Weights,
  ): Promise<PredictionAnswer | null> {
    const newest = this.#versions.at(-1);
    const entry =
      this.weightsOf(version) ?? (newest && newest.version > version ? newest : undefined);
    if (entry === undefined) return null;
    if (this.#options.predictor === undefined) {
      throw new TypeError(`the snapshot of ${this.#options.replica} was not told of its model`);
    }
    // Compiler and models are 20 MB that a snapshot of weights alone has no use for.
    const loaded = await import('../predictor.ts');
    this.#predictor ??= new loaded.Predictor(this.#options.predictor);
    return await this.#predictor.predict(entry, columns, recurrentState);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#predictor?.dispose();
  }

  /** The newest version's number now, and each later one as it arrives; a slow reader sees only the newest. */
  async *arrivals(): AsyncGenerator<number> {
    let seen: number | null = null;
    for (;;) {
      const arrival = this.#arrival.promise;
      const newest = this.latestVersion();
      if (newest !== null && newest !== seen) {
        seen = newest;
        yield newest;
      } else {
        await arrival;
      }
    }
  }

  checkpoint(): { readonly versions: readonly VersionedWeights[] } {
    return { versions: this.#versions };
  }

  restore(state: { readonly versions: readonly VersionedWeights[] }): void {
    this.#versions = [...state.versions];
    this.#savedVersion = this.latestVersion() ?? -1;
  }
}

export const teacherSnapshot: ActorDefinition<TeacherSnapshotOptions, TeacherSnapshot> =
  defineActor({
    type: 'codistill/teacher-snapshot',
    module: import.meta.url,
    concurrencyGroups: { apply: 1 },
    methods: {
      apply: { kind: 'idempotent', group: 'apply' },
      latestVersion: 'idempotent',
      weights: 'idempotent',
      weightsOf: 'idempotent',
      predict: 'idempotent',
      arrivals: 'stream',
    },
    create: (context, options: TeacherSnapshotOptions) => new TeacherSnapshot(context, options),
  });
