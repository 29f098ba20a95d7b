import { UserInputError } from '../../errors.ts';
import type { JobExplanation } from '../../runtime/index.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { formatBytes, formatCount } from '../output/quantity.ts';
import { formatTable } from '../output/table.ts';
import type { CommandContext } from '../program.ts';
import { type OptionFlags, planJob } from './run-command.ts';

export interface PlanFlags extends OptionFlags {
  readonly json?: boolean;
}

export interface PlanSurroundings {
  readonly nodes: number;
  readonly gflops: number;
}

/** `actorctl plan check`. @throws UserInputError that names each wrong option. */
export async function planCheckCommand(
  nameOrFile: string | undefined,
  flags: PlanFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const { job, options } = await planJob(nameOrFile, flags, environment.cwd);
  // What can't be explained can't be run.
  const explanation = await job.explain?.(options as never, { nodes: 1, gflops: 1 });
  const warnings = explanation?.warnings ?? [];
  const event = { type: 'plan', job: job.name, options, warnings };
  output.message(
    [`${job.name} can run with these options.`, ...warnings.map(formatWarning)].join('\n'),
    event,
  );
  return exitCodes.ok;
}

/** `actorctl plan show`. @throws UserInputError that names each wrong option. */
export async function planShowCommand(
  nameOrFile: string | undefined,
  flags: PlanFlags & PlanSurroundings,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const { job, options } = await planJob(nameOrFile, flags, environment.cwd);
  const { nodes, gflops } = flags;
  const explanation = await job.explain?.(options as never, { nodes, gflops });
  if (explanation === undefined) {
    throw new UserInputError(`${job.name} has no plan to show: its module exports no explain().`);
  }
  const event = { type: 'plan', job: job.name, options, ...explanation };
  output.message(`${job.name}\n\n${formatExplanation(explanation)}`, event);
  return exitCodes.ok;
}

function formatWarning(warning: string): string {
  return `warning: ${warning}`;
}

function formatExplanation({ tables, notes, warnings = [] }: JobExplanation): string {
  const texts = tables.map(({ title, columns, rows }) => {
    const shown = columns.map((column, at) => ({
      title: column,
      align: typeof rows[0]?.[at] === 'number' ? ('right' as const) : ('left' as const),
      text: (row: (typeof rows)[number]) => formatCell(row[at] ?? '', column),
    }));
    return `${title}\n${formatTable(shown, rows)}`;
  });
  return [...texts, [...warnings.map(formatWarning), ...notes].join('\n')].join('\n\n');
}

function formatCell(cell: string | number, column: string): string {
  if (typeof cell === 'string') return cell;
  if (column.startsWith('bytes')) return formatBytes(cell);
  return Number.isInteger(cell) ? formatCount(cell) : cell.toPrecision(3);
}
