import * as v from 'valibot';
import { option, type Plan, planSchema, whole } from '../../../actors/index.ts';

const schema = planSchema(
  {
    steps: 10,
    batch: 4,
    learningRate: 0.1,
    warmupSteps: 0,
    clipNorm: null,
    weightDecay: 0,
    burnInSteps: 2,
    optimizer: 'adam',
    heldOutFraction: 0.05,
    evaluationBatches: 32,
  },
  { model: { width: option(whole(1, 9), 3, 'of its layer') }, own: {} },
);

/** A plan as a user would write it, with all defaults filled in. */
export function smallPlan(document: v.InferInput<typeof schema> = {}): Plan {
  return v.parse(schema, document) as unknown as Plan;
}
