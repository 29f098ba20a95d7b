import type { GroupPlan } from '../group-plan.ts';

/** Before it no student has teachers. A scheduled version comes into use one interval after its step. */
export function firstTaughtStep({
  burnInSteps,
  exchangeMode,
  exchangeIntervalSteps,
}: GroupPlan): number {
  return exchangeMode === 'scheduled' ? Math.max(burnInSteps, exchangeIntervalSteps) : burnInSteps;
}

/** What a plan can say, but hardly means. */
export function planWarnings(plan: GroupPlan): readonly string[] {
  const { replicas, burnInSteps, exchangeMode, exchangeIntervalSteps } = plan;
  const students = replicas.filter(({ teachers }) => teachers.length > 0);
  const first = firstTaughtStep(plan);
  const untaught = students.filter(({ steps }) => steps <= first);
  const settings = `burnInSteps ${burnInSteps}, exchange.intervalSteps ${exchangeIntervalSteps}`;
  if (untaught.length > 0) {
    return [
      `no teacher comes in for ${untaught.map(({ name }) => name).join(', ')}: training ends at step ` +
        `${Math.max(...untaught.map(({ steps }) => steps))}, before the first teachers' step ${first} (${settings}). ` +
        'For codistillation choose smaller ones, or more steps.',
    ];
  }
  const shortest = Math.min(...students.map(({ steps }) => steps));
  if (exchangeMode !== 'freshest' || shortest > exchangeIntervalSteps) return [];
  return [
    `teachers stay as they were at their first step: training ends at step ${shortest}, before a second exchange ` +
      `(${settings}). Choose a smaller interval, or more steps.`,
  ];
}
