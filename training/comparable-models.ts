import type { Model } from './model.ts';

/**
 * Checks that two models read the same batches and tell apart the same classes, so that one can teach the other.
 * @throws RangeError that names `name`, what differs and what is expected.
 */
export function checkComparable(name: string, one: Model, other: Model): void {
  if (one.classes !== other.classes) {
    const classes = one.unit === 'tokens' ? 'word pieces' : 'classes';
    throw new RangeError(
      `${name} tells apart ${one.classes} ${classes}: it must be ${other.classes}, as models can ` +
        `only be compared over the same ${classes}`,
    );
  }
  const [theirs, ours] = [describeInputs(one), describeInputs(other)];
  if (theirs === ours) return;
  throw new RangeError(
    `${name} reads ${theirs}: it must be ${ours}, as models can only be compared on the same batches`,
  );
}

function describeInputs(model: Model): string {
  return Object.entries(model.inputs(1))
    .map(([name, { shape, dtype }]) => `${name} ${dtype}[${['batch', ...shape.slice(1)]}]`)
    .join(', ');
}

/** @throws RangeError when the logits have more elements than an int32 index reaches. */
export function checkLogits(model: Model, batch: number): void {
  const rows = model.targetShape(batch).reduce((product, size) => product * size, 1);
  const elements = rows * model.classes;
  if (elements < 2 ** 31) return;
  throw new RangeError(
    `a batch of ${rows} rows has ${elements} logits: they must be fewer than ${2 ** 31}; choose a ` +
      'smaller batch',
  );
}
