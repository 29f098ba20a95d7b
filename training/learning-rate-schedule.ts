/** How the learning rate moves over a run; all rates are those that Adam is given. */
export interface LearningRateSchedule {
  readonly kind: 'constant' | 'cosine';
  /** The rate after warm-up. */
  readonly peak: number;
  /** Steps of linear growth from 0 to the peak. */
  readonly warmupSteps: number;
  /** Length of the run; `cosine` reaches its end there. */
  readonly steps: number;
}

/** What `cosine` ends at, as a share of the peak (Hoffmann et al. 2022 decay to a tenth as well). */
const FINAL_SHARE = 0.1;

/** The learning rate of step `step`; the first step is 0. */
export function learningRateAt(schedule: LearningRateSchedule, step: number): number {
  const { kind, peak, warmupSteps, steps } = schedule;
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  if (kind === 'constant') return peak;
  const progress = Math.min(1, (step - warmupSteps) / Math.max(1, steps - warmupSteps));
  const share = FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + Math.cos(Math.PI * progress));
  return peak * share;
}
