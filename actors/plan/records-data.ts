import { evaluationBatchOf, type PlanData, replicaEntries } from './plan.ts';
import type { Plan } from './plan-schema.ts';

/** The parts of a prepared data set in `directory`, each replica's in an order by its own seed. */
export function recordsDataOf(plan: Plan, directory: string): PlanData {
  const records = { kind: 'records', directory, batch: plan.batch } as const;
  return {
    replicas: Array.from({ length: plan.replicas }, (_, replica) => ({
      ...records,
      part: replica,
      seed: replicaEntries(plan, replica).seed,
    })),
    heldOut: { ...records, batch: evaluationBatchOf(plan), part: 'held-out' },
  };
}
