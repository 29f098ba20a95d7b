/** What one training step showed. */
export interface StepReport {
  /** Steps done after this one: the first report has 1. */
  readonly step: number;
  /** Mean nats per token on the step's own batch. */
  readonly loss: number;
  /** Soft cross-entropy to the teachers, nats per token; null for a step without teachers. */
  readonly distillLoss: number | null;
  readonly gradientNorm: number;
  /** Steps between this student and its oldest teacher; null for a step without teachers. */
  readonly stalenessSteps: number | null;
  /** Since the report before. */
  readonly tokensPerSecond: number;
  /** Published so far. */
  readonly bytesExchanged: number;
}

/** Sums over a replica's whole run; they live in its checkpoint, so a restart doesn't lose them. */
export interface TrainingTotals {
  readonly tokens: number;
  /** Waiting for the next window. */
  readonly dataMs: number;
  /** Encoding weights, and waiting for versions to be sent and to arrive. */
  readonly exchangeMs: number;
  /** Inside the compiled step. */
  readonly computeMs: number;
  /** Tracing and building the native graphs. */
  readonly compileMs: number;
  readonly teacherSteps: number;
  readonly stalenessStepsSum: number;
  readonly stalenessStepsMax: number;
}

export const noTotals: TrainingTotals = {
  tokens: 0,
  dataMs: 0,
  exchangeMs: 0,
  computeMs: 0,
  compileMs: 0,
  teacherSteps: 0,
  stalenessStepsSum: 0,
  stalenessStepsMax: 0,
};

export function addStaleness(totals: TrainingTotals, stalenessSteps: number): TrainingTotals {
  return {
    ...totals,
    teacherSteps: totals.teacherSteps + 1,
    stalenessStepsSum: totals.stalenessStepsSum + stalenessSteps,
    stalenessStepsMax: Math.max(totals.stalenessStepsMax, stalenessSteps),
  };
}
