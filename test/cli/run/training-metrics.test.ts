import test from 'ava';
import { Registry } from 'prom-client';
import { registerTrainingMetrics } from '../../../cli/run/training-metrics.ts';

test('the last step and evaluation of a run are its metrics', async (t) => {
  const registry = new Registry();
  const take = await registerTrainingMetrics(registry);
  take({ type: 'step', replica: 'replica-1', step: 1, loss: 9, tokensPerSecond: 100 });
  take({ type: 'step', replica: 'replica-1', step: 2, loss: 7.5, stalenessSteps: 49 });
  take({ type: 'step', replica: 'replica-2', step: 1, loss: 8, bytesExchanged: null });
  take({ type: 'evaluation', step: 2, losses: [7, 6], ensembleLoss: 5.5 });
  const text = await registry.metrics();
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  t.deepEqual(samples.toSorted(), [
    'codistill_heldout_loss{model="ensemble"} 5.5',
    'codistill_heldout_loss{model="replica-1"} 7',
    'codistill_heldout_loss{model="replica-2"} 6',
    'codistill_training_loss{replica="replica-1"} 7.5',
    'codistill_training_loss{replica="replica-2"} 8',
    'codistill_training_staleness_steps{replica="replica-1"} 49',
    'codistill_training_step{replica="replica-1"} 2',
    'codistill_training_step{replica="replica-2"} 1',
    'codistill_training_tokens_per_second{replica="replica-1"} 100',
  ]);
});
