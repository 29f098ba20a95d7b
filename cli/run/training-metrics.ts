import type { Registry } from 'prom-client';
import type { EvaluationEvent, KnownEvent, StepEvent } from '../observation/event-shapes.ts';

/** Takes the events of a run and keeps what they last said as metrics. */
export type TrainingMetrics = (event: KnownEvent) => void;

const gauges = {
  codistill_training_step: ['Steps that a replica has done.', ({ step }) => step],
  codistill_training_loss: [
    "A replica's loss on its data, nats per token or example.",
    ({ loss }) => loss,
  ],
  codistill_training_distill_loss: [
    "A replica's cross-entropy to its teachers, nats per token or example.",
    ({ distillLoss }) => distillLoss,
  ],
  codistill_training_tokens_per_second: [
    'Tokens that a replica trains on.',
    ({ tokensPerSecond }) => tokensPerSecond,
  ],
  codistill_training_staleness_steps: [
    "Steps between a replica and its teachers' versions.",
    ({ stalenessSteps }) => stalenessSteps,
  ],
  codistill_training_exchanged_bytes: [
    'Bytes of weights that a replica has sent and received.',
    ({ bytesExchanged }) => bytesExchanged,
  ],
} satisfies Record<string, readonly [string, (event: StepEvent) => number | null | undefined]>;

export async function registerTrainingMetrics(registry: Registry): Promise<TrainingMetrics> {
  const { Gauge } = await import('prom-client');
  const create = (name: string, help: string, labelNames: readonly string[]) =>
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
  const ofSteps = Object.entries(gauges).map(([name, [help, read]]) => {
    return { gauge: create(name, help, ['replica']), read: read as (event: StepEvent) => unknown };
  });
  const heldOut = create(
    'codistill_heldout_loss',
    'Loss on held-out data, nats per token or example.',
    ['model'],
  );
  const noteEvaluation = ({ losses, ensembleLoss }: EvaluationEvent): void => {
    for (const [index, loss] of losses.entries())
      heldOut.set({ model: `replica-${index + 1}` }, loss);
    if (ensembleLoss != null) heldOut.set({ model: 'ensemble' }, ensembleLoss);
  };
  return (event) => {
    if (event.type === 'evaluation') noteEvaluation(event);
    if (event.type !== 'step') return;
    for (const { gauge, read } of ofSteps) {
      const value = read(event);
      if (typeof value === 'number') gauge.set({ replica: String(event.replica) }, value);
    }
  };
}
