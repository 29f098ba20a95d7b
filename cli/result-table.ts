import Table from 'cli-table3';
import type { Figure, ResultEvent } from './event-shapes.ts';
import { formatBytes, formatCount, formatDuration, formatNumber } from './quantity.ts';

/** A row of the result: a replica, the ensemble, or the unigram baseline. */
export interface ResultRow {
  readonly name: string;
  /** Nats per held-out token. */
  readonly loss: Figure;
  readonly perplexity: Figure;
  readonly tokensPerSecond?: Figure;
  readonly stalenessStepsMean?: Figure;
  readonly stalenessStepsMax?: Figure;
}

export const resultColumns = ['', 'loss', 'perplexity', 'tokens/s', 'staleness'] as const;

/** Replicas first, then their ensemble, then what a model that only counts words would get. */
export function listResultRows(result: ResultEvent): readonly ResultRow[] {
  const rows: ResultRow[] = result.replicas.map((replica) => ({
    name: String(replica.name),
    loss: replica.valLoss,
    perplexity: replica.perplexity ?? perplexityOf(replica.valLoss),
    tokensPerSecond: replica.tokensPerSecond,
    stalenessStepsMean: replica.stalenessStepsMean,
    stalenessStepsMax: replica.stalenessStepsMax,
  }));
  if (result.ensembleLoss != null) rows.push(derivedRow('ensemble', result.ensembleLoss));
  if (result.unigramLoss != null) rows.push(derivedRow('unigram baseline', result.unigramLoss));
  return rows;
}

/** The cells of a row, in the order of `resultColumns`. */
export function formatResultRow(row: ResultRow): readonly string[] {
  const staleness =
    row.stalenessStepsMean == null
      ? ''
      : `${formatNumber(row.stalenessStepsMean, 1)} (max ${formatCount(row.stalenessStepsMax)})`;
  return [
    row.name,
    formatNumber(row.loss),
    formatNumber(row.perplexity, 1),
    row.tokensPerSecond == null ? '' : formatCount(row.tokensPerSecond),
    staleness,
  ];
}

/** What stands below the table: steps, time, exchange and waits. */
export function describeResultTotals(result: ResultEvent): readonly string[] {
  const { steps, tokens, wallMs, firstStepMs, exchange, waits } = result;
  const lines: string[] = [];
  if (steps != null) {
    lines.push(
      `${formatCount(steps)} steps, ${formatCount(tokens)} tokens in ${formatDuration(wallMs)}` +
        (firstStepMs == null ? '' : `; first step after ${formatNumber(firstStepMs / 1000, 1)} s`),
    );
  }
  if (exchange !== undefined) {
    const full = exchange.fullBytes == null ? '' : ` (in full ${formatBytes(exchange.fullBytes)})`;
    lines.push(`${formatCount(exchange.count)} exchanges, ${formatBytes(exchange.bytes)}${full}`);
  }
  if (waits !== undefined) {
    const { dataMs = 0, exchangeMs = 0, computeMs = 0 } = waits;
    const wholeMs = (dataMs ?? 0) + (exchangeMs ?? 0) + (computeMs ?? 0);
    const share = (ms: Figure) => `${formatNumber((100 * (ms ?? 0)) / Math.max(1, wholeMs), 2)} %`;
    lines.push(`replicas waited for data ${share(dataMs)}, for exchanges ${share(exchangeMs)}`);
  }
  return lines;
}

/** The table and the totals as text. */
export function formatResult(result: ResultEvent): string {
  const table = new Table({
    head: [...resultColumns],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  });
  table.push(...listResultRows(result).map((row) => [...formatResultRow(row)]));
  return [table.toString(), ...describeResultTotals(result)].join('\n');
}

function derivedRow(name: string, loss: number): ResultRow {
  return { name, loss, perplexity: perplexityOf(loss) };
}

function perplexityOf(loss: Figure): number | undefined {
  return loss == null ? undefined : Math.exp(loss);
}
