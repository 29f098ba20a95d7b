/** A point of a curve. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * A curve of bounded size: when it is full, neighbours are joined in pairs, so that a point is the mean
 * of 1, 2, 4, … values. Long runs keep their shape, and their memory stays flat.
 */
export class Series {
  readonly #pointsMax: number;
  #points: Point[] = [];
  /** Values in each stored point. */
  #stride = 1;
  #pending: { count: number; sum: number } = { count: 0, sum: 0 };

  constructor(pointsMax: number) {
    if (pointsMax < 2) throw new RangeError(`pointsMax is at least 2, got ${pointsMax}`);
    this.#pointsMax = pointsMax;
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  /** Adds a value at the end. An `x` that goes back (a restart from a checkpoint) replaces what follows it. */
  push(x: number, y: number): void {
    this.#dropFrom(x);
    this.#pending = { count: this.#pending.count + 1, sum: this.#pending.sum + y };
    const { count, sum } = this.#pending;
    if (count < this.#stride) return;
    this.#points.push({ x, y: sum / count });
    this.#pending = { count: 0, sum: 0 };
    if (this.#points.length >= this.#pointsMax) this.#halve();
  }

  #dropFrom(x: number): void {
    const last = this.#points.at(-1);
    if (last === undefined || last.x < x) return;
    this.#points = this.#points.filter((point) => point.x < x);
    this.#pending = { count: 0, sum: 0 };
  }

  #halve(): void {
    const halved: Point[] = [];
    for (let index = 0; index + 1 < this.#points.length; index += 2) {
      const { y } = this.#points[index] as Point;
      const next = this.#points[index + 1] as Point;
      halved.push({ x: next.x, y: (y + next.y) / 2 });
    }
    this.#points = halved;
    this.#stride *= 2;
  }
}

/** The curve with an exponential moving mean, whose window is `share` of its points. */
export function smooth(points: readonly Point[], share: number): readonly Point[] {
  const weight = 1 / Math.max(1, points.length * share);
  let mean: number | undefined;
  return points.map(({ x, y }) => {
    mean = mean === undefined ? y : mean + weight * (y - mean);
    return { x, y: mean };
  });
}
