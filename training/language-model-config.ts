import { checkInteger } from './config-check.ts';

/**
 * Sizes of an LSTM language model. The paper's model is
 * `{ vocabularySize: 24006, embeddingSize: 256, hiddenSize: 1024, layers: 2 }` over windows of 32 steps.
 */
export interface LanguageModelConfig {
  /** Number of word pieces (V). */
  readonly vocabularySize: number;
  /** Width of a word piece's vector (E). */
  readonly embeddingSize: number;
  /** Units of each LSTM layer (H). */
  readonly hiddenSize: number;
  readonly layers: number;
}

/** The largest number of elements that an int32 index reaches. */
const elementsMax = 2 ** 31 - 1;

/**
 * Checks the sizes; `name` is how the error calls the configuration, for instance `model`.
 * @throws RangeError that names the field, its value and the values allowed.
 */
export function checkLanguageModelConfig(config: LanguageModelConfig, name = 'model'): void {
  const { vocabularySize, embeddingSize, hiddenSize, layers } = config;
  checkInteger(`${name}.vocabularySize`, vocabularySize, 2);
  checkInteger(`${name}.embeddingSize`, embeddingSize, 1);
  // Layer normalisation of a single unit would always give zero.
  checkInteger(`${name}.hiddenSize`, hiddenSize, 2);
  checkInteger(`${name}.layers`, layers, 1);
  for (const [parameter, shape] of Object.entries(languageModelParameters(config))) {
    const elements = shape.reduce((product, size) => product * size, 1);
    if (elements <= elementsMax) continue;
    throw new RangeError(
      `${name}: parameter ${parameter} [${shape}] would have ${elements} elements: ` +
        `at most ${elementsMax} are possible; choose smaller sizes`,
    );
  }
}

/** The model's parameters: name and shape, in a fixed order. */
export function languageModelParameters(
  config: LanguageModelConfig,
): Record<string, readonly number[]> {
  const { vocabularySize, embeddingSize, hiddenSize, layers } = config;
  const shapes: Record<string, readonly number[]> = {
    embedding: [vocabularySize, embeddingSize],
  };
  for (let layer = 0; layer < layers; layer++) {
    const inputSize = layer === 0 ? embeddingSize : hiddenSize;
    shapes[`layer${layer}/inputWeights`] = [inputSize, 4 * hiddenSize];
    shapes[`layer${layer}/inputGain`] = [4 * hiddenSize];
    shapes[`layer${layer}/recurrentWeights`] = [hiddenSize, 4 * hiddenSize];
    shapes[`layer${layer}/recurrentGain`] = [4 * hiddenSize];
    shapes[`layer${layer}/bias`] = [4 * hiddenSize];
    shapes[`layer${layer}/cellGain`] = [hiddenSize];
    shapes[`layer${layer}/cellBias`] = [hiddenSize];
  }
  shapes['output/weights'] = [hiddenSize, vocabularySize];
  shapes['output/bias'] = [vocabularySize];
  return shapes;
}

/** What the model carries from window to window for `batch` lanes: name and shape; zero at first. */
export function recurrentStateShapes(
  config: LanguageModelConfig,
  batch: number,
): Record<string, readonly number[]> {
  const shapes: Record<string, readonly number[]> = {};
  for (let layer = 0; layer < config.layers; layer++) {
    shapes[`layer${layer}/hidden`] = [batch, config.hiddenSize];
    shapes[`layer${layer}/cell`] = [batch, config.hiddenSize];
  }
  return shapes;
}
