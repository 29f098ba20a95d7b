/** @throws RangeError when `value` is no integer of at least `minimum`. */
export function checkInteger(field: string, value: number, minimum: number): void {
  if (Number.isSafeInteger(value) && value >= minimum) return;
  throw new RangeError(`${field} is ${value}: it must be an integer of at least ${minimum}`);
}

/** Bounds of a real number; `above` and `below` exclude the bound itself. */
export interface NumberRange {
  readonly above?: number;
  readonly atLeast?: number;
  readonly below?: number;
}

/** @throws RangeError when `value` is not a finite number within the range. */
export function checkNumber(field: string, value: number, range: NumberRange): void {
  const { above = -Infinity, atLeast = -Infinity, below = Infinity } = range;
  if (Number.isFinite(value) && value > above && value >= atLeast && value < below) return;
  const bounds = [
    range.above === undefined ? [] : [`above ${range.above}`],
    range.atLeast === undefined ? [] : [`at least ${range.atLeast}`],
    range.below === undefined ? [] : [`below ${range.below}`],
  ].flat();
  throw new RangeError(`${field} is ${value}: it must be a finite number ${bounds.join(' and ')}`);
}
