/** What one training step showed. */
export interface StepReport {
  /** Steps done after this one: the first report has 1. */
  readonly step: number;
  /** Mean nats per row (token or example) on the step's own batch. */
  readonly loss: number;
  /** Of the teachers, without its weight, in nats per row; null for a step without teachers. */
  readonly distillLoss: number | null;
  readonly gradientNorm: number;
  /** Share of the batch's examples whose likeliest class is the right one; texts have none. */
  readonly accuracy?: number;
  /** Steps between this student and its oldest teacher; null for a step without teachers. */
  readonly stalenessSteps: number | null;
  /** Since the report before. */
  readonly rowsPerSecond: number;
  /** Published, shared with other workers and predicted so far. */
  readonly bytesExchanged: number;
}

/** Sums over a replica's whole run; they live in its checkpoint, so a restart doesn't lose them. */
export interface TrainingTotals {
  /** Tokens or examples. */
  readonly rows: number;
  /** Waiting for the next batch. */
  readonly dataMs: number;
  /** Encoding weights, and waiting for versions to be sent and to arrive. */
  readonly exchangeMs: number;
  /** Inside the compiled step. */
  readonly computeMs: number;
  /** Tracing and building the native graphs. */
  readonly compileMs: number;
  /** Given to the other workers of the replica and taken from them. */
  readonly workersBytes: number;
  /** Asked of teachers that predict elsewhere, and answered. */
  readonly predictionsBytes: number;
  readonly teacherSteps: number;
  readonly stalenessStepsSum: number;
  readonly stalenessStepsMax: number;
}

export const noTotals: TrainingTotals = {
  rows: 0,
  dataMs: 0,
  exchangeMs: 0,
  computeMs: 0,
  compileMs: 0,
  workersBytes: 0,
  predictionsBytes: 0,
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
