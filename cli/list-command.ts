import { setTimeout as delay } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import { DeadlineError } from '../errors.ts';
import type { Inspection } from '../runtime/index.ts';
import { type ObservationFlags, observeBus } from './bus-observation.ts';
import { type ExitCode, exitCodes } from './exit-codes.ts';
import { watchInterruptions } from './interruption.ts';
import type { Listing } from './listing.ts';
import type { CommandContext } from './program.ts';
import { parseRowFilter } from './row-filter.ts';
import { formatTable } from './table.ts';

export interface ListFlags extends ObservationFlags {
  readonly filter?: readonly string[];
  /** Look again every so many seconds; `true` means two. */
  readonly watch?: true | number;
  readonly json?: boolean;
}

export interface ListOptions<Row extends object> {
  readonly listing: Listing<Row>;
  /** What is listed is a change: look twice before showing anything. */
  readonly compares: boolean;
}

const watchSeconds = 2;

/** `actorctl nodes`, `actors`, `top` and the like: shows a listing once, or again and again until Ctrl-C. */
export async function listCommand<Row extends object>(
  { listing, compares }: ListOptions<Row>,
  flags: ListFlags,
  context: CommandContext,
): Promise<ExitCode> {
  const { environment, output } = context;
  const filter = parseRowFilter(flags.filter ?? [], listing.keys);
  await using observation = await observeBus(flags, environment.cwd);
  using watch = watchInterruptions({
    stdout: environment.stdout,
    onFirst: () => {},
    onSecond: () => process.exit(exitCodes.interrupted),
  });
  const { signal } = watch;
  const pauseMs = (typeof flags.watch === 'number' ? flags.watch : watchSeconds) * 1000;
  const read = listing.createReader();
  using screen = createScreen(context, flags);
  const look = async (): Promise<{ inspection: Inspection; rows: readonly Row[] }> => {
    const inspection = await observation.observer.inspect();
    return { inspection, rows: read(inspection, environment.now()).filter(filter) };
  };
  if (compares) {
    await look();
    await pause(pauseMs, signal);
  }
  for (;;) {
    try {
      const { inspection, rows } = await look();
      screen.show(listing, rows, inspection, observation.place);
    } catch (error) {
      // Who watches wants to see how it goes on, too.
      if (flags.watch === undefined || !(error instanceof DeadlineError)) throw error;
      output.message(error.message, { type: 'warning', message: error.message });
    }
    if (flags.watch === undefined || signal.aborted) return exitCodes.ok;
    await pause(pauseMs, signal);
    if (signal.aborted) return exitCodes.ok;
  }
}

interface Screen extends Disposable {
  show<Row extends object>(
    listing: Listing<Row>,
    rows: readonly Row[],
    inspection: Inspection,
    place: string,
  ): void;
}

/** A picture that is drawn anew in a terminal, or one look after the other, or JSON lines. */
function createScreen({ output, environment }: CommandContext, flags: ListFlags): Screen {
  if (flags.json) {
    return {
      show({ type }, rows, { silent }) {
        if (flags.watch !== undefined) {
          output.event({ type: 'look', at: environment.date().toISOString() });
        }
        for (const row of rows) output.event({ type, ...row });
        if (type !== 'node') for (const node of silent) output.event({ type: 'silent', ...node });
      },
      [Symbol.dispose]() {},
    };
  }
  const { stdout } = environment;
  const live = flags.watch !== undefined && stdout.isTTY ? createLogUpdate(stdout) : undefined;
  return {
    show(listing, rows, inspection, place) {
      const text = formatLook(listing, rows, inspection, place);
      if (live === undefined) output.message(text);
      // One line is left for the cursor.
      else
        live(
          text
            .split('\n')
            .slice(0, stdout.rows - 1)
            .join('\n'),
        );
    },
    [Symbol.dispose]: () => live?.done(),
  };
}

function formatLook<Row extends object>(
  { type, columns, notes }: Listing<Row>,
  rows: readonly Row[],
  { silent, nodes }: Inspection,
  place: string,
): string {
  const table = rows.length === 0 ? `No ${type}s in ${place}.` : formatTable(columns, rows);
  const omitted = nodes.reduce((sum, node) => sum + node.omittedActors, 0);
  const lines = [
    ...notes(rows),
    ...(type === 'node' || silent.length === 0
      ? []
      : [
          `Silent, so nothing is known of what they run: ${silent.map(({ nodeName }) => nodeName).join(', ')}.`,
        ]),
    ...(omitted === 0 ? [] : [`${omitted} actors were left out: a node tells of 10,000 at most.`]),
  ];
  return lines.length === 0 ? table : [table, '', ...lines].join('\n');
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
