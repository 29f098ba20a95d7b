import { type MeasureName, measures } from './measures.ts';
import type { Estimate } from './statistics.ts';
import type { ArmSummary } from './study-analysis.ts';

/** `1.234 [1.200, 1.268]`; a dash when there is none. */
export function formatEstimate(
  estimate: Estimate | undefined,
  format: (value: number) => string,
): string {
  if (estimate === undefined) return '–';
  const { mean, interval } = estimate;
  if (interval === null) return format(mean);
  return `${format(mean)} [${interval.map(format).join(', ')}]`;
}

/** `4.123`, `12.3 MB`: a value of a measure. */
export function formatValue(measure: MeasureName, value: number): string {
  const { digits, unit } = measures[measure];
  if (unit.startsWith('bytes')) return `${(value / 1e6).toFixed(2)} MB`;
  return value.toFixed(digits);
}

/** `+0.012`, `0.51 ×`: how an arm stands to the baseline. */
export function formatComparison(measure: MeasureName, value: number): string {
  const { comparison, digits } = measures[measure];
  if (comparison === 'ratio') return `${value.toPrecision(3)} ×`;
  return `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(digits)}`;
}

/** What an arm's figures show beside the baseline's, and what they don't, in a sentence. */
export function describeComparison(summary: ArmSummary, base: ArmSummary): string {
  const { arm, measure, against, without, estimate } = summary;
  const baseline = base.arm;
  const { title, comparison } = measures[measure];
  const missing =
    without === 0
      ? ''
      : ` ${without} of its ${without + (estimate?.count ?? 0)} runs have no such figure and are left out.`;
  if (against === undefined) return `${arm}: nothing to compare with ${baseline}.${missing}`;
  const { interval, count } = against;
  const text = formatEstimate(against, (value) => formatComparison(measure, value));
  const share = comparison === 'difference' ? describeShare(against, base) : '';
  const than = comparison === 'ratio' ? `of ${baseline}'s` : `against ${baseline}`;
  const seeds = `${count} ${count === 1 ? 'seed' : 'seeds'}`;
  const said = `${arm}: ${title.toLowerCase()} ${text} ${than}${share}, ${seeds}.`;
  if (interval === null) return `${said} Too few for an interval: ${itself(count)}.${missing}`;
  const neutral = comparison === 'ratio' ? 1 : 0;
  const [lower, upper] = interval;
  if (lower === upper && lower === neutral) return `${said} Exactly the same.${missing}`;
  if (lower > neutral) return `${said} More: the interval excludes ${neutral}.${missing}`;
  if (upper < neutral) return `${said} Less: the interval excludes ${neutral}.${missing}`;
  return `${said} No difference is shown: the interval covers ${neutral}, and all in it remains possible.${missing}`;
}

function itself(count: number): string {
  return count === 1 ? 'one seed shows no more than itself' : 'they show no more than themselves';
}

/** The difference in percent of the baseline's mean. */
function describeShare(against: Estimate, { estimate: base }: ArmSummary): string {
  if (base === undefined || base.mean === 0) return '';
  const percent = (value: number) => {
    const share = (100 * value) / base.mean;
    return `${share >= 0 ? '+' : '−'}${Math.abs(share).toFixed(2)} %`;
  };
  return `, that is ${formatEstimate(against, percent)}`;
}
