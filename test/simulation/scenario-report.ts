import type { Tally } from './calls.ts';

export interface ScenarioReport {
  readonly seed: number;
  /** What must not be, in the order of its discovery. */
  readonly violations: readonly string[];
  readonly faults: ReadonlyMap<string, number>;
  readonly calls: Tally;
  readonly events: number;
  readonly virtualMs: number;
}

/** Runs a scenario to its end; what it throws is a violation too, the last one. */
export async function reportOn<Report extends ScenarioReport>(scenario: {
  run(): Promise<void>;
  report(): Report;
}): Promise<Report> {
  try {
    await scenario.run();
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const report = scenario.report();
    return { ...report, violations: [...report.violations, text] };
  }
  return scenario.report();
}
