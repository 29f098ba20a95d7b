import type { NamedTensors } from '../compiler/index.ts';
import { UserInputError } from '../errors.ts';
import { type Model, weightShapes } from './model.ts';

/**
 * The weights of a model among the tensors of a file (`decodeSafetensors`), by the names of `weightShapes`; other
 * tensors are left out.
 * @throws UserInputError for a weight that is missing, or has another type or shape.
 */
export function importedWeights(
  model: Pick<Model, 'parameters' | 'statistics'>,
  tensors: NamedTensors,
): Record<string, Float32Array> {
  const weights: Record<string, Float32Array> = {};
  for (const [name, shape] of Object.entries(weightShapes(model))) {
    const tensor = tensors[name];
    if (tensor?.data instanceof Float32Array && `${tensor.shape}` === `${shape}`) {
      weights[name] = tensor.data;
      continue;
    }
    const found = tensor === undefined ? 'nothing' : `${tensor.dtype}[${tensor.shape}]`;
    throw new UserInputError(
      `the model's weight ${name} is float32[${shape}], but the file has ${found}`,
    );
  }
  return weights;
}
