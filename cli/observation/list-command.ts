import { setTimeout as delay } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import { DeadlineError } from '../../errors.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { watchInterruptions } from '../interruption.ts';
import { formatTable } from '../output/table.ts';
import type { CommandContext } from '../program.ts';
import type { Listing, Look, RowSource } from './listing.ts';
import { parseRowFilter } from './row-filter.ts';

export interface ListFlags {
  readonly filter?: readonly string[];
  /** Look again every so many seconds; `true` means two. */
  readonly watch?: true | number;
  readonly json?: boolean;
}

export interface ListOptions<Row extends object> {
  readonly listing: Listing<Row>;
  /** @throws UserInputError when there is nothing to look at, BusUnavailableError */
  open(): Promise<RowSource<Row>>;
}

const watchSeconds = 2;

/** `actorctl nodes`, `actors`, `top` and the like: shows a listing once, or again and again until Ctrl-C. */
export async function listCommand<Row extends object>(
  { listing, open }: ListOptions<Row>,
  flags: ListFlags,
  context: CommandContext,
): Promise<ExitCode> {
  const { environment, output } = context;
  const filter = parseRowFilter(flags.filter ?? [], listing.keys, listing.titles);
  await using source = await open();
  using watch = watchInterruptions({
    stdout: environment.stdout,
    onFirst: () => {},
    onSecond: () => process.exit(exitCodes.interrupted),
  });
  const { signal } = watch;
  const pauseMs = (typeof flags.watch === 'number' ? flags.watch : watchSeconds) * 1000;
  using screen = createScreen(listing, source.place, flags, context);
  if (listing.compares) {
    await source.look();
    await pause(pauseMs, signal);
  }
  for (;;) {
    try {
      const { rows, gaps } = await source.look();
      screen.show({ rows: rows.filter(filter), gaps }, rows.length);
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

interface Screen<Row extends object> extends Disposable {
  /** Of `known` rows those that the filter lets through. */
  show(look: Look<Row>, known: number): void;
}

/** A picture that is drawn anew in a terminal, or one look after the other, or JSON lines. */
function createScreen<Row extends object>(
  listing: Listing<Row>,
  place: string,
  { watch, json }: ListFlags,
  { output, environment }: CommandContext,
): Screen<Row> {
  if (json) {
    return {
      show({ rows, gaps }) {
        const at = environment.date().toISOString();
        if (watch !== undefined) output.event({ type: 'look', at });
        for (const row of rows) output.event({ type: listing.type, ...row });
        for (const { event } of gaps) output.event(event);
      },
      [Symbol.dispose]() {},
    };
  }
  const { stdout } = environment;
  const live = watch !== undefined && stdout.isTTY ? createLogUpdate(stdout) : undefined;
  return {
    show(look, known) {
      const text = formatLook(listing, look, { place, known });
      if (live === undefined) output.message(text);
      else live(firstLines(text, stdout.rows - 1));
    },
    [Symbol.dispose]: () => live?.done(),
  };
}

function formatLook<Row extends object>(
  { type, columns, notes }: Listing<Row>,
  { rows, gaps }: Look<Row>,
  { place, known }: { readonly place: string; readonly known: number },
): string {
  const none = known === 0 ? `No ${type}s` : `None of ${known} ${type}s fits the filter`;
  const table = rows.length === 0 ? `${none} in ${place}.` : formatTable(columns, rows);
  const lines = [...notes(rows), ...gaps.map(({ text }) => text)];
  return lines.length === 0 ? table : [table, '', ...lines].join('\n');
}

/** A picture that is higher than the terminal could not be drawn over. */
function firstLines(text: string, count: number): string {
  return text.split('\n').slice(0, count).join('\n');
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
