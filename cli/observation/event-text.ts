import pc from 'picocolors';
import type { JobEvent, LoggedEvent } from '../../runtime/index.ts';
import { type Progress, type ReplicaProgress, timeLeftMs } from '../output/progress.ts';
import { formatBytes, formatCount, formatDuration, formatNumber } from '../output/quantity.ts';
import {
  type EvaluationEvent,
  type KnownEvent,
  recogniseEvent,
  type StepEvent,
  speedOf,
} from './event-shapes.ts';

/**
 * A line for an event that people want to see as it comes, or undefined for those that the display sums up.
 */
export function describeEvent(event: KnownEvent): string | undefined {
  switch (event.type) {
    case 'warning':
      return pc.yellow(`warning: ${event.message}`);
    case 'evaluation':
      return describeEvaluation(event);
    case 'actor':
      return describeActor(event);
    default:
      return undefined;
  }
}

/** An event of the job's own making, as `type key=value …`; a node is told by its name, if that is known. */
export function describeUnknownEvent(event: JobEvent): string {
  const { type: _type, atMs: _atMs, nodeName, ...told } = event;
  const named = 'node' in told && nodeName !== undefined ? { ...told, node: nodeName } : told;
  const fields = Object.entries(named).map(([key, value]) => `${key}=${formatField(value)}`);
  return [event.type, ...fields].join(' ');
}

/** A cause is told in its own words. */
function formatField(value: unknown): string {
  if (typeof value === 'string') return value;
  const isCause = typeof value === 'object' && value !== null && 'kind' in value;
  if (isCause && 'message' in value && typeof value.message === 'string') return value.message;
  return JSON.stringify(value);
}

/** A line of a job's log: when it was written, and what happened. */
export function describeLoggedEvent({ at, event }: LoggedEvent): string {
  const known = recogniseEvent(event);
  const text = (known && describeEvent(known)) ?? describeUnknownEvent(event);
  return `${pc.dim(`${at.toISOString().slice(0, 19)}Z`)}  ${text}`;
}

/** `a  120/1000  loss 5.123  distill 6.012  4,321 tokens/s  stale 50` */
export function describeReplica(name: string, replica: ReplicaProgress): string {
  const { last, loss, distillLoss } = replica;
  const speed = speedOf(last);
  return [
    pc.bold(name),
    `step ${formatStep(last)}`,
    `loss ${formatNumber(loss)}`,
    ...(distillLoss === undefined ? [] : [`distill ${formatNumber(distillLoss)}`]),
    ...(speed === undefined ? [] : [`${formatCount(speed.perSecond).padStart(6)} ${speed.unit}/s`]),
    ...(last.stalenessSteps == null ? [] : [`teacher ${last.stalenessSteps} steps old`]),
  ].join('  ');
}

/** As wide at the first step as at the last, so that a live display stands still. */
function formatStep({ step, steps }: StepEvent): string {
  return steps ? `${String(step).padStart(String(steps).length)}/${steps}` : String(step);
}

/** `12.3 MB exchanged  2 restarts  3 min 20 s left` */
export function describeTotals(progress: Progress): string {
  const bytes = [...progress.replicas.values()].map(({ last }) => last.bytesExchanged ?? 0);
  const left = timeLeftMs(progress);
  return [
    `${formatBytes(bytes.reduce((sum, value) => sum + value, 0))} exchanged`,
    ...(progress.restarts === 0 ? [] : [formatRestarts(progress.restarts)]),
    ...(left === undefined ? [] : [`${formatDuration(left)} left`]),
  ].join('  ');
}

function formatRestarts(count: number): string {
  return count === 1 ? '1 restart' : `${count} restarts`;
}

export function describeEvaluation(event: EvaluationEvent): string {
  const losses = event.losses.map((loss) => formatNumber(loss)).join(' / ');
  const ensemble =
    event.ensembleLoss == null ? '' : `, ensemble ${formatNumber(event.ensembleLoss)}`;
  return `held out at step ${event.step}: loss ${losses}${ensemble}`;
}

function describeActor(event: Extract<KnownEvent, { type: 'actor' }>): string | undefined {
  if (event.event === 'restarted') return pc.yellow(`${event.actor} restarted from its checkpoint`);
  if (event.event === 'died' && event.cause?.kind !== 'stopped') {
    return pc.yellow(`${event.actor} died: ${event.cause?.message ?? event.cause?.kind ?? '?'}`);
  }
  return undefined;
}
