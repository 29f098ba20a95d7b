import pc from 'picocolors';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import type { CommandContext } from '../program.ts';
import { type NatsFlags, parseNatsFlags } from '../server/nats-address.ts';
import { type Check, listChecks } from './doctor.ts';

export interface DoctorFlags extends NatsFlags {
  readonly natsMonitor?: string;
}

/** `actorctl doctor`: what works here, what doesn't and what to do about it. */
export async function doctorCommand(
  flags: DoctorFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const nats = parseNatsFlags(flags);
  const { natsMonitor } = flags;
  const checks = await listChecks({ cwd: environment.cwd, nats, natsMonitor });
  const width = Math.max(...checks.map(({ name }) => name.length));
  for (const check of checks)
    output.message(formatCheck(check, width), { type: 'check', ...check });
  const failed = checks.filter(({ status }) => status === 'failed').map(({ name }) => name);
  const verdict = failed.length === 0 ? 'Ready to run jobs.' : `Not ready: ${failed.join(', ')}.`;
  output.message(verdict, { type: 'result', ok: failed.length === 0, failed });
  return failed.length === 0 ? exitCodes.ok : exitCodes.failed;
}

const marks = { ok: pc.green('ok     '), missing: pc.yellow('missing'), failed: pc.red('failed ') };

function formatCheck({ name, status, detail, advice }: Check, width: number): string {
  const line = `${marks[status]}  ${name.padEnd(width)}  ${detail}`;
  return advice === undefined ? line : `${line}\n${' '.repeat(width + 11)}${advice}`;
}
