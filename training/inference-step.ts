import type { Model } from './model.ts';
import { weightShapes } from './model.ts';
import { entriesUnder, floatSpecs, placeUnder, type Step, tidyStep } from './step-state.ts';

/**
 * A teacher's forward pass by itself. State: `teacher0/<parameter or statistic>` (read only),
 * `teacher0.recurrent/<name>`. Inputs: the model's. Output: `logits` float32 [rows, classes].
 */
export function createInferenceStep({
  model,
  batch,
}: {
  readonly model: Model;
  readonly batch: number;
}): Step {
  return {
    state: {
      ...floatSpecs('teacher0', weightShapes(model)),
      ...floatSpecs('teacher0.recurrent', model.recurrentState(batch)),
    },
    inputs: { ...model.inputs(batch) },
    step: tidyStep((state, inputs) => {
      const { logits, recurrentState } = model.predict(
        entriesUnder(state, 'teacher0'),
        entriesUnder(state, 'teacher0.recurrent'),
        inputs,
      );
      return {
        state: placeUnder('teacher0.recurrent', recurrentState),
        outputs: { logits },
      };
    }),
  };
}
