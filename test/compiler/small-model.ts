import { createState, type StateStore, type TensorData } from '../../compiler/index.ts';
import { initialiseParameters } from '../../training/index.ts';
import { languageModelStep } from '../training/language-model-steps.ts';

export const smallModel = { vocabularySize: 40, embeddingSize: 6, hiddenSize: 16, layers: 2 };
const batch = 3;
const time = 4;

/** A complete training step of a small language model, with one teacher. */
export function smallStep(options: { beta1?: number; clipNorm?: number } = {}) {
  return languageModelStep({
    model: smallModel,
    batch,
    time,
    teachers: [smallModel],
    optimizer: { beta1: options.beta1 ?? 0.9, beta2: 0.999, epsilon: 1e-8 },
    clipNorm: options.clipNorm ?? 1,
    distillWeight: 1,
  });
}

/** Its state before the first step: student and teacher differ. */
export function smallState(): StateStore {
  const state = createState(smallStep().state);
  for (const [prefix, seed] of [
    ['student', 1],
    ['teacher0', 2],
  ] as const) {
    for (const [name, values] of Object.entries(initialiseParameters(smallModel, seed))) {
      state.read(`${prefix}/${name}`).set(values);
    }
  }
  return state;
}

/** Inputs of the step with number `step`: each is different, and the same in every run. */
export function smallInputs(step: number): Record<string, TensorData> {
  const pieces = (offset: number) =>
    Int32Array.from(
      { length: batch * time },
      (_, i) => (7 * (i + offset) + 13 * step + ((i * step) % 5)) % smallModel.vocabularySize,
    );
  return { tokens: pieces(0), targets: pieces(1), learningRate: Float32Array.of(1e-3) };
}
