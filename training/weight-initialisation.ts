import { createRandomGenerator } from '../random.ts';

/** How a tensor begins: a constant, or drawn from a distribution. */
export type Initialiser =
  | { readonly constant: number }
  /** Normal with this standard deviation. */
  | { readonly deviation: number }
  /** Uniform in ± this bound. */
  | { readonly bound: number };

/** He et al. 2015: keeps the variance through layers of rectified units. */
export function heNormal(fanIn: number): Initialiser {
  return { deviation: Math.sqrt(2 / fanIn) };
}

/** Glorot and Bengio 2010. */
export function glorotUniform(fanIn: number, fanOut: number): Initialiser {
  return { bound: Math.sqrt(6 / (fanIn + fanOut)) };
}

/** A tensor of a network: its shape and how it begins. */
export interface TensorPlan {
  readonly shape: readonly number[];
  readonly initialiser: Initialiser;
}

export function shapesOf(
  plans: Readonly<Record<string, TensorPlan>>,
): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(plans).map(([name, { shape }]) => [name, shape]));
}

/** First values; what one tensor draws doesn't depend on which others there are. */
export function initialise(
  plans: Readonly<Record<string, TensorPlan>>,
  seed: number,
): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(plans).map(([name, { shape, initialiser }]) => {
      const size = shape.reduce((product, dimension) => product * dimension, 1);
      return [name, draw(new Float32Array(size), initialiser, seed, name)];
    }),
  );
}

function draw(
  values: Float32Array,
  initialiser: Initialiser,
  seed: number,
  name: string,
): Float32Array {
  if ('constant' in initialiser) return values.fill(initialiser.constant);
  const random = createRandomGenerator(seed, name);
  if ('bound' in initialiser) {
    const { bound } = initialiser;
    for (let i = 0; i < values.length; i++) values[i] = random.nextUniform(-bound, bound);
    return values;
  }
  for (let i = 0; i < values.length; i += 2) {
    // Box and Muller: two uniform numbers make two normal ones; 1 − u is never 0.
    const radius = Math.sqrt(-2 * Math.log(1 - random.nextUniform(0, 1)));
    const angle = random.nextUniform(0, 2 * Math.PI);
    values[i] = initialiser.deviation * radius * Math.cos(angle);
    if (i + 1 < values.length) values[i + 1] = initialiser.deviation * radius * Math.sin(angle);
  }
  return values;
}
