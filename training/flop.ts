import { createModel, type ModelConfig } from './model-config.ts';

/** Floating-point operations of the products of one forward pass; a step with gradients has three times as many. */
export function forwardFlop(config: ModelConfig, batch: number): number {
  const model = createModel(config);
  const rows = model.targetShape(batch).reduce((product, size) => product * size, 1);
  const products = Object.entries(model.parameters)
    // What is looked up is not multiplied.
    .filter(([name, shape]) => shape.length > 1 && name !== 'embedding' && name !== 'positions')
    .map(([name, shape]) => {
      const size = shape.reduce((product, dimension) => product * dimension, 1);
      return size * (config.kind === 'residual' ? positionsOf(config, name) : 1);
    });
  const multiplications = rows * products.reduce((sum, one) => sum + one, 0);
  return 2 * (multiplications + attention(config, rows));
}

/** Queries with keys, and weights with values. */
function attention(config: ModelConfig, rows: number): number {
  if (config.kind !== 'transformer') return 0;
  return config.layers * 2 * rows * config.time * config.width;
}

/** Pixels of an image in the result of a convolution, 1 for the output layer. */
function positionsOf(
  { imageSize, imageWidth = imageSize, stem }: Extract<ModelConfig, { kind: 'residual' }>,
  name: string,
): number {
  const stage = /^stage(\d+)\//.exec(name)?.[1];
  if (name.startsWith('output/')) return 1;
  const halvings = stem === 'small' ? 0 : stage === undefined ? 1 : 2;
  const shrinking = 2 ** (halvings + Number(stage ?? 0));
  return Math.ceil(imageSize / shrinking) * Math.ceil(imageWidth / shrinking);
}
