import { checkNumber } from './config-check.ts';

/**
 * ψ, which pulls a student towards its teachers' mean prediction q. `cross-entropy`: H(q, p), the paper's. `kl`:
 * KL(q ‖ p), which has the same gradient. `logit-mse`: half the mean squared distance of the logits (Ba and Caruana
 * 2014), each row's taken from their own mean; the mean is then of the teachers' logits.
 */
export type Distillation = 'cross-entropy' | 'kl' | 'logit-mse';
export const distillations: readonly Distillation[] = ['cross-entropy', 'kl', 'logit-mse'];

/** Label smoothing: a share of each target is given to all classes, alike or by how frequent they are. */
export type Smoothing =
  | { readonly kind: 'none' }
  | { readonly kind: 'uniform' | 'unigram'; readonly share: number };

/** What a step minimises: φ with smoothed targets, and ψ times its weight. */
export interface ObjectiveConfig {
  readonly distillation: Distillation;
  /** Of ψ, 0 or more; the paper's is 1. */
  readonly weight: number;
  /** Steps after burn-in in which the weight grows evenly from 0; 0: none. */
  readonly rampSteps: number;
  /** Logits of student and teachers are divided by it inside ψ, and ψ is multiplied by its square (Hinton 2015). */
  readonly temperature: number;
  readonly smoothing: Smoothing;
}

/** The paper's. */
export const defaultObjective: ObjectiveConfig = {
  distillation: 'cross-entropy',
  weight: 1,
  rampSteps: 0,
  temperature: 1,
  smoothing: { kind: 'none' },
};

/** The weight of ψ in the step that is the `taught`-th with teachers, counted from 0. */
export function distillWeightAt({ weight, rampSteps }: ObjectiveConfig, taught: number): number {
  return rampSteps === 0 ? weight : weight * Math.min(1, (taught + 1) / rampSteps);
}

/** @throws RangeError that names the field, its value and the values allowed. */
export function checkObjectiveConfig(config: ObjectiveConfig): void {
  checkNumber('objective.weight', config.weight, { atLeast: 0 });
  checkNumber('objective.rampSteps', config.rampSteps, { atLeast: 0 });
  checkNumber('objective.temperature', config.temperature, { above: 0 });
  const { smoothing } = config;
  if (smoothing.kind === 'none') return;
  checkNumber('objective.smoothing.share', smoothing.share, { atLeast: 0, below: 1 });
}
