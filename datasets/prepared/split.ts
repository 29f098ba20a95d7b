import { createRandomGenerator } from '../../random.ts';

export interface SplitOptions {
  readonly replicas: number;
  /**
   * Share of the training rows that all replicas have: 0 (the default) for disjoint shards, 1 when
   * all train on the same.
   */
  readonly sharedFraction?: number;
  /** Share of the rows that nobody trains on, between 0 and 1, both excluded; 0.1 if absent. */
  readonly heldOutFraction?: number;
  /** Decides, with a row's place in its source, where it goes: 0 … 2⁵³ − 1; 0 if absent. */
  readonly seed?: number;
}

/** Where a row goes: a shard's index, every shard, or the part that nobody trains on. */
export type RowPart = number | 'all' | 'held-out';

/** Says for each row of a source, in order, where it goes. */
export type Split = () => RowPart;

/**
 * Each row is drawn for by itself, so nothing need be known of how many there are, and a second
 * pass over the source deals them out as the first did. Parts have their shares of the rows up to
 * chance.
 * @param heldOut whether rows are held out; not where a source is a training part by itself.
 */
export function createSplit(options: SplitOptions, { heldOut }: { heldOut: boolean }): Split {
  const { replicas, sharedFraction, heldOutFraction, seed } = checkSplitOptions(options);
  const random = createRandomGenerator(seed, 'split');
  return () => {
    // Three numbers for every row, whatever becomes of it: the next row's must not depend on it.
    const [first, second, third] = [
      random.nextUniform(0, 1),
      random.nextUniform(0, 1),
      random.nextUint32(),
    ];
    if (heldOut && first < heldOutFraction) return 'held-out';
    return second < sharedFraction ? 'all' : third % replicas;
  };
}

/** @throws RangeError that names the option, its value and the values allowed. */
export function checkSplitOptions({
  replicas,
  sharedFraction = 0,
  heldOutFraction = 0.1,
  seed = 0,
}: SplitOptions): Required<SplitOptions> {
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > REPLICAS_MAX) {
    throw new RangeError(`replicas is ${replicas}: it takes a whole number of 1 … ${REPLICAS_MAX}`);
  }
  if (!(sharedFraction >= 0 && sharedFraction <= 1)) {
    throw new RangeError(`sharedFraction is ${sharedFraction}: it lies in 0 … 1`);
  }
  if (!(heldOutFraction > 0 && heldOutFraction < 1)) {
    throw new RangeError(`heldOutFraction is ${heldOutFraction}: it lies between 0 and 1`);
  }
  return { replicas, sharedFraction, heldOutFraction, seed };
}

/** A file is open for each. */
const REPLICAS_MAX = 256;
