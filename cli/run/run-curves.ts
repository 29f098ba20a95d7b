import {
  type EvaluationEvent,
  type KnownEvent,
  type ResultEvent,
  type Speed,
  type StepEvent,
  speedOf,
} from '../observation/event-shapes.ts';
import { Series } from '../report/series.ts';

/** The curves of one replica over its steps. */
export interface ReplicaCurves {
  readonly loss: Series;
  readonly distillLoss: Series;
  readonly stalenessSteps: Series;
  /** Rows per second. */
  readonly speed: Series;
}

const pointsMax = 2000;

/** What a report draws, gathered from the events of all sessions of a run; its size is bounded. */
export class RunCurves {
  readonly replicas: Map<string, ReplicaCurves> = new Map();
  /** One curve for each replica, in their order. */
  readonly heldOut: Series[] = [];
  readonly ensemble: Series = new Series(pointsMax);
  result: ResultEvent | undefined;
  /** What a row is. */
  unit: Speed['unit'] = 'tokens';

  get hasSteps(): boolean {
    return this.replicas.size > 0;
  }

  add(event: KnownEvent): void {
    if (event.type === 'step') this.#addStep(event);
    else if (event.type === 'evaluation') this.#addEvaluation(event);
    else if (event.type === 'result') this.result = event;
  }

  #addStep(event: StepEvent): void {
    const curves = this.#replica(String(event.replica));
    const { step, loss, distillLoss, stalenessSteps } = event;
    const speed = speedOf(event);
    curves.loss.push(step, loss);
    if (distillLoss != null) curves.distillLoss.push(step, distillLoss);
    if (stalenessSteps != null) curves.stalenessSteps.push(step, stalenessSteps);
    if (speed === undefined) return;
    this.unit = speed.unit;
    curves.speed.push(step, speed.perSecond);
  }

  #addEvaluation(event: EvaluationEvent): void {
    event.losses.forEach((loss, index) => {
      this.heldOut[index] ??= new Series(pointsMax);
      this.heldOut[index].push(event.step, loss);
    });
    if (event.ensembleLoss != null) this.ensemble.push(event.step, event.ensembleLoss);
  }

  #replica(name: string): ReplicaCurves {
    let curves = this.replicas.get(name);
    if (curves === undefined) {
      curves = {
        loss: new Series(pointsMax),
        distillLoss: new Series(pointsMax),
        stalenessSteps: new Series(pointsMax),
        speed: new Series(pointsMax),
      };
      this.replicas.set(name, curves);
    }
    return curves;
  }
}
