import type { Clock } from '../clock.ts';
import type { Random } from './random.ts';
import type { Lifeline, VirtualTime } from './virtual-time.ts';

/** How a node's clock differs from the simulation's. */
export interface ClockSkew {
  /** What it shows at the beginning. */
  readonly offsetMs: number;
  /** Its milliseconds per millisecond of the simulation. */
  readonly rate: number;
}

export interface SimulatedClockOptions {
  readonly time: VirtualTime;
  readonly lifeline: Lifeline;
  readonly skew: ClockSkew;
  /** Timers are late by up to so much, as those of a busy process are. */
  readonly timerLateMsMax: number;
  readonly random: Random;
}

/** A process's clock on virtual time: as wrong, and its timers as late, as the simulation wants. */
export function createSimulatedClock(options: SimulatedClockOptions): Clock {
  const { time, lifeline, skew, timerLateMsMax, random } = options;
  return {
    now: () => skew.offsetMs + time.nowMs * skew.rate,
    setTimeout(callback, delayMs) {
      const lateMs = timerLateMsMax > 0 ? random.between(0, timerLateMsMax) : 0;
      return time.schedule(Math.max(0, delayMs) / skew.rate + lateMs, callback, lifeline);
    },
  };
}
