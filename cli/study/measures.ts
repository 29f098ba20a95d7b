import { type Churn, churnBetween, logLoss } from './churn.ts';
import type { RunFigures } from './run-figures.ts';
import { meanOf, stepsToTarget } from './statistics.ts';

export const measureNames = [
  'churn',
  'flips',
  'servedLoss',
  'loss',
  'ensembleLoss',
  'disagreement',
  'stepsToTarget',
  'exchangedBytes',
  'deltaShare',
] as const;
export type MeasureName = (typeof measureNames)[number];

/** A figure of each run, or of each pair of runs of one arm. */
export type Measure = RunMeasure | PairMeasure;

export interface MeasureText {
  readonly title: string;
  readonly unit: string;
  /** Arms are compared by what is subtracted, or by how many times as much there is. */
  readonly comparison: 'difference' | 'ratio';
  /** Decimals worth showing. */
  readonly digits: number;
}

export interface RunMeasure extends MeasureText {
  /** `null` when the run has no such figure: a loss that was never reached, an exchange that never was. */
  of(run: RunFigures, context: MeasureContext): number | null;
}

export interface PairMeasure extends MeasureText {
  /** `null` when one of them has no predictions. */
  ofPair(one: RunFigures, other: RunFigures): number | null;
}

export interface MeasureContext {
  /** The loss to be reached; `null` while the arm that sets it has no finished run with this seed. */
  readonly targetLoss: number | null;
}

export const measures: Readonly<Record<MeasureName, Measure>> = {
  churn: {
    title: 'Churn',
    unit: 'mean difference of the predictions of two retrainings',
    comparison: 'ratio',
    digits: 4,
    ofPair: (one, other) => churnOf(one, other)?.difference ?? null,
  },
  flips: {
    title: 'Flips',
    unit: 'share of rows with another likeliest class after retraining',
    comparison: 'ratio',
    digits: 4,
    ofPair: (one, other) => churnOf(one, other)?.flips ?? null,
  },
  servedLoss: {
    title: 'Held-out loss of what is served',
    unit: 'nats',
    comparison: 'difference',
    digits: 4,
    of: ({ served }) =>
      served?.targets === undefined
        ? null
        : logLoss(served.probabilities, served.targets, served.classes),
  },
  loss: {
    title: 'Held-out loss',
    unit: 'nats, mean of the replicas',
    comparison: 'difference',
    digits: 4,
    of: ({ loss }) => loss,
  },
  ensembleLoss: {
    title: 'Held-out loss of the ensemble',
    unit: 'nats',
    comparison: 'difference',
    digits: 4,
    of: ({ ensembleLoss }) => ensembleLoss,
  },
  disagreement: {
    title: 'Disagreement of the replicas',
    unit: 'total variation distance, 0 to 1',
    comparison: 'difference',
    digits: 4,
    of: ({ disagreement }) => disagreement,
  },
  stepsToTarget: {
    title: 'Steps to the target loss',
    unit: 'steps, mean of the replicas',
    comparison: 'ratio',
    digits: 0,
    of({ curves }, { targetLoss }) {
      if (targetLoss === null || curves.length === 0) return null;
      const steps = curves.map((curve) => stepsToTarget(curve, targetLoss));
      return steps.every((step) => step !== null) ? meanOf(steps) : null;
    },
  },
  exchangedBytes: {
    title: 'Weights exchanged',
    unit: 'bytes, all replicas and workers',
    comparison: 'ratio',
    digits: 0,
    of: ({ exchangedBytes }) => exchangedBytes,
  },
  deltaShare: {
    title: 'Size of a delta',
    unit: 'share of a full copy in f32',
    comparison: 'ratio',
    digits: 4,
    of: ({ deltaShare }) => deltaShare,
  },
};

function churnOf({ served: one }: RunFigures, { served: other }: RunFigures): Churn | null {
  if (one === null || other === null) return null;
  return churnBetween(one.probabilities, other.probabilities, { classes: one.classes });
}
