import { RemoteError } from '../errors.ts';

/** What the exit codes of `actorctl` mean. From 65 on they follow sysexits.h; 130 is the shell's SIGINT. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  damagedData: 65,
  busUnavailable: 69,
  disk: 74,
  runLocked: 75,
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** One line for each code, for `--help` and the README. */
export const exitCodeMeanings: readonly (readonly [ExitCode, string])[] = [
  [exitCodes.ok, 'done'],
  [exitCodes.failed, 'the job or a download failed, or a check of doctor did'],
  [exitCodes.usage, 'wrong usage or input: a command, an option, a path, a value'],
  [exitCodes.damagedData, 'damaged data: a checkpoint, a run directory, a corpus'],
  [exitCodes.busUnavailable, 'the bus is unavailable: no server, or lost for too long'],
  [exitCodes.disk, 'the disk is full or fails'],
  [exitCodes.runLocked, 'another process is at work in the run directory'],
  [
    exitCodes.interrupted,
    'interrupted (Ctrl-C, SIGTERM, closed output); `actorctl resume` goes on',
  ],
];

const codesOfErrors: ReadonlyMap<string, ExitCode> = new Map<string, ExitCode>([
  ['USER_INPUT', exitCodes.usage],
  ['DAMAGED_DATA', exitCodes.damagedData],
  ['BUS_UNAVAILABLE', exitCodes.busUnavailable],
  ['BUS_CLOSED', exitCodes.busUnavailable],
  ['RUN_LOCKED', exitCodes.runLocked],
  ['ENOSPC', exitCodes.disk],
  ['EDQUOT', exitCodes.disk],
  ['EIO', exitCodes.disk],
  ['EROFS', exitCodes.disk],
]);

const causesMax = 5;

/** The first code that says more than `failed`, of the error or of its causes, in an actor or here. */
export function exitCodeFor(error: unknown): ExitCode {
  for (
    let depth = 0, at = error;
    depth < causesMax && at instanceof Error;
    depth++, at = at.cause
  ) {
    const code = at instanceof RemoteError ? at.remoteCode : (at as NodeJS.ErrnoException).code;
    const known = codesOfErrors.get(code ?? '');
    if (known !== undefined) return known;
  }
  return exitCodes.failed;
}
