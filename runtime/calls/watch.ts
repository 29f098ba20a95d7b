import type { DeathCause } from '../../errors.ts';
import { createEventQueue } from './event-queue.ts';
import { addressOf, pathOf } from './handle.ts';

/** What became of an actor. `cause` says why it is restarting or dead. */
export interface ActorChange {
  readonly event: 'running' | 'restarting' | 'dead';
  readonly epoch: number;
  readonly cause?: DeathCause;
}

/** Begins with how the actor is, and ends after `dead`. Leaving it early ends the watch. */
export interface ActorWatch extends AsyncIterableIterator<ActorChange>, AsyncDisposable {
  /**
   * Resolves when the actor is dead for good, also when its owner is lost and nobody knows more of it.
   * Rejects when the watch or the system is closed before.
   */
  readonly ended: Promise<DeathCause>;
}

/** What hears of an actor through `CallPath.watch`. */
export interface ActorListener {
  onChange(change: ActorChange): void;
  /** Nothing more will be heard. */
  onClose(error: Error): void;
}

/** Changes that nobody has read yet; older ones are dropped for newer ones. */
const CHANGES_MAX = 64;

/**
 * Death watch: what becomes of the actor behind a handle, in a job or in another actor. Where no
 * announcement comes, the owner is asked every few seconds.
 * @throws TypeError for what is no handle.
 */
export function watch(handle: object): ActorWatch {
  const { promise: ended, resolve, reject } = Promise.withResolvers<DeathCause>();
  // Whoever only reads the changes need not look at it.
  ended.catch(() => {});
  const { name } = addressOf(handle);
  let stop: (() => void) | undefined;
  let over = false;
  const changes = createEventQueue<ActorChange>(CHANGES_MAX, () => {
    over = true;
    stop?.();
    reject(new Error(`the watch of actor ${name} was closed`));
  });
  stop = pathOf(handle).watch(addressOf(handle), {
    onChange(change) {
      changes.push(change);
      if (change.event !== 'dead') return;
      resolve(change.cause ?? { kind: 'error', message: 'for an unknown cause', lastOutput: [] });
      changes.end();
    },
    onClose(error) {
      reject(error);
      changes.end(error);
    },
  });
  // A dead actor says so at once.
  if (over) stop();
  return Object.assign(changes.items, { ended });
}
