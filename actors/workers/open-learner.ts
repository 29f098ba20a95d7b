import type { Handle } from '../../runtime/index.ts';
import type { StateCopy } from '../exchange/state-copy.ts';
import type { Patience } from '../retry.ts';
import type { Student } from '../student.ts';
import type { GradientReceiver } from './gradient-receiver.ts';
import { type CarriedState, type Learner, SoloLearner } from './learner.ts';
import { LocalLearner } from './local-learner.ts';
import { ServerLink } from './server-link.ts';
import { SharedLearner } from './shared-learner.ts';
import type { WorkersPlan } from './workers-plan.ts';

/** The other workers of a replica that a Trainer doesn't train alone. */
export interface Membership {
  readonly workers: WorkersPlan;
  /** This one's number, from 0 on. */
  readonly worker: number;
  /** The replica's, or a branch before it. */
  readonly server: Handle<GradientReceiver>;
}

export interface LearnerOptions {
  readonly student: Student;
  /** None for a Trainer that has its replica to itself. */
  readonly membership: Membership | undefined;
  readonly carried: CarriedState;
  readonly patience: Patience;
  /** From a checkpoint. */
  readonly checkpoint: StateCopy;
  /** Given to other workers and taken from them so far. */
  readonly bytes: number;
}

/** The learner that a Trainer's part among its replica's workers asks for. */
export function openLearner(options: LearnerOptions): Learner {
  const { student, membership, patience, checkpoint, bytes } = options;
  if (membership === undefined) return new SoloLearner(student);
  const { server, worker, workers } = membership;
  const link = new ServerLink({ server, worker, patience, bytes });
  const { codec } = workers;
  if (workers.mode === 'local') {
    const { localSteps } = workers;
    return new LocalLearner({ student, link, codec, localSteps, checkpoint });
  }
  return new SharedLearner({
    student,
    link,
    codec,
    synchronous: workers.mode === 'synchronous',
    carried: options.carried,
    rest: checkpoint,
  });
}
