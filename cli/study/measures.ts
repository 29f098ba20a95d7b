import type { RunFigures } from './run-figures.ts';
import { meanOf, stepsToTarget } from './statistics.ts';

export const measureNames = [
  'loss',
  'ensembleLoss',
  'disagreement',
  'stepsToTarget',
  'exchangedBytes',
  'fullShare',
] as const;
export type MeasureName = (typeof measureNames)[number];

/** A figure of each run. */
export interface Measure {
  readonly title: string;
  readonly unit: string;
  /** Arms are compared by what is subtracted, or by how many times as much there is. */
  readonly comparison: 'difference' | 'ratio';
  /** Decimals worth showing. */
  readonly digits: number;
  /** `null` when the run has no such figure: a loss that was never reached, an exchange that never was. */
  of(run: RunFigures, context: MeasureContext): number | null;
}

export interface MeasureContext {
  /** The loss to be reached; `null` while the arm that sets it has no finished run. */
  readonly targetLoss: number | null;
}

export const measures: Readonly<Record<MeasureName, Measure>> = {
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
    unit: 'bytes, all replicas',
    comparison: 'ratio',
    digits: 0,
    of: ({ exchangedBytes }) => exchangedBytes,
  },
  fullShare: {
    title: 'Weights exchanged, against uncoded ones',
    unit: 'share, the first full copies included',
    comparison: 'difference',
    digits: 4,
    of: ({ exchangedBytes, fullBytes }) =>
      exchangedBytes === null || !fullBytes ? null : exchangedBytes / fullBytes,
  },
};
