import type { EvaluationEvent, KnownEvent, StepEvent } from '../observation/event-shapes.ts';

/** What a live display shows of a run; made of its events alone, so it can be tested without a clock. */
export interface Progress {
  readonly phase: string;
  readonly replicas: ReadonlyMap<string, ReplicaProgress>;
  readonly evaluation?: EvaluationEvent;
  readonly restarts: number;
}

export interface ReplicaProgress {
  readonly last: StepEvent;
  /** Nats per token, a mean over about the last 20 steps. */
  readonly loss: number;
  readonly distillLoss: number | undefined;
  /** Where this session began; a resumed run doesn't begin at 0. */
  readonly firstStep: number;
  readonly firstAtMs: number;
  readonly lastAtMs: number;
}

export const emptyProgress: Progress = { phase: 'starting', replicas: new Map(), restarts: 0 };

const smoothing = 0.05;

/** @param atMs when the event came, in milliseconds since the command started */
export function advance(progress: Progress, event: KnownEvent, atMs: number): Progress {
  switch (event.type) {
    case 'prepare':
      return { ...progress, phase: describePhase(event) };
    case 'step':
      return { ...progress, phase: 'training', replicas: withStep(progress, event, atMs) };
    case 'evaluation':
      return { ...progress, evaluation: event };
    case 'actor':
      return event.event === 'restarted'
        ? { ...progress, restarts: progress.restarts + 1 }
        : progress;
    default:
      return progress;
  }
}

/**
 * Milliseconds until the slowest replica is done, from the mean speed of this session; undefined until
 * there is something to go by.
 */
export function timeLeftMs(progress: Progress): number | undefined {
  const left = [...progress.replicas.values()].map(({ last, firstStep, firstAtMs, lastAtMs }) => {
    const done = last.step - firstStep;
    return last.steps && done > 0
      ? ((last.steps - last.step) * (lastAtMs - firstAtMs)) / done
      : undefined;
  });
  const known = left.filter((value) => value !== undefined);
  return known.length > 0 ? Math.max(...known) : undefined;
}

function withStep(progress: Progress, event: StepEvent, atMs: number): Progress['replicas'] {
  const key = String(event.replica);
  const before = progress.replicas.get(key);
  // A restarted replica goes back to its checkpoint; its speed is counted anew from there.
  const goesOn = before !== undefined && event.step > before.last.step;
  const next: ReplicaProgress = {
    last: event,
    loss: smooth(before?.loss, event.loss),
    distillLoss:
      event.distillLoss == null ? undefined : smooth(before?.distillLoss, event.distillLoss),
    firstStep: goesOn ? before.firstStep : event.step,
    firstAtMs: goesOn ? before.firstAtMs : atMs,
    lastAtMs: atMs,
  };
  return inOrder(new Map(progress.replicas).set(key, next));
}

/** Whichever replica takes the first step, `replica-2` stands before `replica-10`, as in the result. */
export function inOrder<Value>(replicas: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> {
  const byName = new Intl.Collator('en', { numeric: true });
  return new Map([...replicas].sort(([left], [right]) => byName.compare(left, right)));
}

function smooth(before: number | undefined, value: number): number {
  return before === undefined ? value : before + smoothing * (value - before);
}

function describePhase(event: Extract<KnownEvent, { type: 'prepare' }>): string {
  const { phase, done, total } = event;
  if (!total) return phase;
  return `${phase} ${Math.floor((100 * Math.min(done, total)) / total)} %`;
}
