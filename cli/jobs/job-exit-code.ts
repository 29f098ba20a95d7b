import type { JobRecord } from '../../runtime/index.ts';
import { type ExitCode, exitCodeFor, exitCodes } from '../exit-codes.ts';

/** The exit code that `actorctl run` would have ended with; that of a job that goes on is 0. */
export function exitCodeOfJob({ state, error }: Pick<JobRecord, 'state' | 'error'>): ExitCode {
  if (state === 'stopped') return exitCodes.interrupted;
  if (state !== 'failed') return exitCodes.ok;
  return exitCodeFor(Object.assign(new Error(error?.message), { code: error?.code }));
}
