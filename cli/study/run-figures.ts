import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { predictionsFile, readPredictions } from '../../datasets/index.ts';
import { readEventLog } from '../observation/event-log.ts';
import { type ResultEvent, recogniseEvent } from '../observation/event-shapes.ts';
import type { RunRecord } from '../run/run-directory.ts';
import { type ServedPredictions, servedPredictions } from './churn.ts';
import { type CurvePoint, meanOf } from './statistics.ts';
import type { Arm } from './study.ts';

/** What a finished run says of itself, as far as studies measure it; `null`: it doesn't say. */
export interface RunFigures {
  /** Mean of the held-out losses of the replicas that count, nats per token or example. */
  readonly loss: number | null;
  readonly ensembleLoss: number | null;
  /** Mean total variation distance between two replicas' predictions. */
  readonly disagreement: number | null;
  /** Of weights as sent, to snapshots, and to and from parameter servers. */
  readonly exchangedBytes: number | null;
  /** Mean of the deltas, the first full copy of each replica left out, against a full copy in f32. */
  readonly deltaShare: number | null;
  /** What is served of its saved predictions; `null` when it saved none. */
  readonly served: ServedPredictions | null;
  /** Held-out loss of each replica by its own step, rising. */
  readonly curves: readonly (readonly CurvePoint[])[];
}

/** Reads the figures of the run in `directory`, whose result `record` holds. */
export async function readRunFigures(
  directory: string,
  record: RunRecord,
  { served: which = 'first', replica }: Pick<Arm, 'served' | 'replica'>,
): Promise<RunFigures> {
  const predictions = join(directory, predictionsFile);
  const served = existsSync(predictions)
    ? servedPredictions(await readPredictions(predictions), which)
    : null;
  const curves: CurvePoint[][] = [];
  for await (const event of readEventLog(join(directory, 'events.jsonl'))) {
    const known = recogniseEvent(event);
    if (known?.type !== 'evaluation') continue;
    for (const [replica, loss] of known.losses.entries()) {
      // An evaluation in mid-run finds each replica at a step of its own.
      curves[replica] ??= [];
      addPoint(curves[replica], { step: known.versions?.[replica] ?? known.step, loss });
    }
  }
  const result = record.result && recogniseEvent(record.result);
  const ended = result?.type === 'result' ? result : undefined;
  const counted = <T>(all: readonly T[]) =>
    replica === undefined ? all : all.slice(replica - 1, replica);
  const losses = counted(ended?.replicas ?? []).flatMap(({ valLoss }) => valLoss ?? []);
  return {
    loss: losses.length > 0 ? meanOf(losses) : null,
    ensembleLoss: ended?.ensembleLoss ?? null,
    disagreement: numberOrNull(record.result?.disagreement),
    exchangedBytes: exchangedBytes(ended?.exchange),
    deltaShare: deltaShare(ended?.exchange, ended?.replicas.length ?? 0),
    served,
    curves: counted(curves),
  };
}

function exchangedBytes(exchange: ResultEvent['exchange']): number | null {
  if (exchange?.bytes == null) return null;
  return exchange.bytes + (exchange.workersBytes ?? 0);
}

function deltaShare(exchange: ResultEvent['exchange'], replicas: number): number | null {
  const { count, bytes, fullBytes } = exchange ?? {};
  if (count == null || bytes == null || fullBytes == null || count <= replicas) return null;
  const fullCopy = fullBytes / count;
  return (bytes - replicas * fullCopy) / (count - replicas) / fullCopy;
}

/** A run that went back to a checkpoint says some steps twice; the later word counts. */
function addPoint(curve: CurvePoint[], point: CurvePoint): void {
  while ((curve.at(-1)?.step ?? -1) >= point.step) curve.pop();
  curve.push(point);
}

function numberOrNull(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
