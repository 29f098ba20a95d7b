import { BusUnavailableError } from '../errors.ts';

/** What ended a run early: a signal, or an output that nobody reads any more. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
}

/** Asks a run to stop, once; `signal` is what its job gets. */
export interface InterruptionWatch extends Disposable {
  readonly signal: AbortSignal;
  /** Stops the run for another reason than a signal. */
  interrupt(reason: Error): void;
}

/**
 * The first SIGINT or SIGTERM, or a closed stdout, aborts the signal: the job drains and checkpoints. The second
 * one ends the process at once; then the last regular checkpoint is what there is.
 */
export function watchInterruptions(options: {
  readonly stdout: NodeJS.WriteStream;
  readonly onFirst: (reason: Error) => void;
  readonly onSecond: () => never;
}): InterruptionWatch {
  const controller = new AbortController();
  let signalled = false;

  function interrupt(reason: Error): void {
    if (controller.signal.aborted) return;
    controller.abort(reason);
    options.onFirst(reason);
  }

  function onSignal(signal: NodeJS.Signals): void {
    if (signalled) options.onSecond();
    signalled = true;
    interrupt(new Interruption(`got ${signal}`));
  }

  function onOutputError(error: NodeJS.ErrnoException): void {
    if (error.code === 'EPIPE') interrupt(new Interruption('stdout was closed'));
  }

  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  options.stdout.on('error', onOutputError);
  return {
    signal: controller.signal,
    interrupt,
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      options.stdout.off('error', onOutputError);
    },
  };
}

/** Interrupts when a bus stays away longer than `timeoutMs`; one that comes back is forgiven. */
export function watchBus(options: {
  readonly timeoutMs: number;
  readonly onLost: (error: BusUnavailableError) => void;
}): Disposable & { lost(reason: string): void; found(): void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    lost(reason) {
      timer ??= setTimeout(() => {
        const seconds = Math.round(options.timeoutMs / 1000);
        options.onLost(
          new BusUnavailableError(
            `The bus was away for ${seconds} s (${reason}). Bring the server back, then resume the ` +
              'run; --bus-timeout sets how long to wait.',
          ),
        );
      }, options.timeoutMs);
    },
    found() {
      clearTimeout(timer);
      timer = undefined;
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
    },
  };
}
