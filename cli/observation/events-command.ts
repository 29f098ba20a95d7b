import pc from 'picocolors';
import type { Inspection, RuntimeEvent } from '../../runtime/index.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import { watchInterruptions } from '../interruption.ts';
import type { CommandContext } from '../program.ts';
import { type ObservationFlags, observeBus } from './bus-observation.ts';
import { parseRowFilter } from './row-filter.ts';

export interface EventsFlags extends ObservationFlags {
  /** Past events to show, of each node and in all. */
  readonly last: number;
  readonly watch?: boolean;
  readonly filter?: readonly string[];
}

/** By the clock of the one who looks, as each node only tells how long ago something was. */
interface TimedEvent {
  readonly at: Date;
  readonly event: RuntimeEvent;
}

/** All nodes tell of one node's coming and going, one after the other. */
const sameNewsMs = 10_000;
const rememberedMax = 4096;
const keys = [
  'event',
  'nodeId',
  'nodeName',
  'node',
  'actor',
  'actorType',
  'epoch',
  'pid',
  'message',
];

/** `actorctl events`: what happened lately, and with `--watch` what happens until Ctrl-C. */
export async function eventsCommand(
  flags: EventsFlags,
  { output, environment }: CommandContext,
): Promise<ExitCode> {
  const fits = parseRowFilter(flags.filter ?? [], keys);
  await using observation = await observeBus(flags, environment.cwd);
  const { observer } = observation;
  using watch = watchInterruptions({
    stdout: environment.stdout,
    onFirst: () => {},
    onSecond: () => process.exit(exitCodes.interrupted),
  });
  const isNews = createNewsFilter();
  const show = ({ at, event }: TimedEvent): void => {
    if (!isNews({ at, event }) || !fits(event)) return;
    output.message(formatEvent(at, event), { ...event, type: 'event', at: at.toISOString() });
  };
  // Heard from before the past is read, so that nothing falls between; what comes twice is dropped.
  const early: TimedEvent[] = [];
  let hear = (timed: TimedEvent): void => void early.push(timed);
  if (flags.watch) observer.onEvent((event) => hear({ at: environment.date(), event }));
  const inspection = await observer.inspect({ eventsMax: flags.last });
  const past = listPast(inspection, environment.date());
  for (const timed of past.slice(-flags.last)) show(timed);
  if (!flags.watch) {
    if (past.length === 0)
      output.message(`Nothing has happened yet in ${observation.place}.`, { type: 'none' });
    return exitCodes.ok;
  }
  for (const timed of early) show(timed);
  hear = show;
  if (!watch.signal.aborted) {
    await new Promise((resolve) => watch.signal.addEventListener('abort', resolve, { once: true }));
  }
  return exitCodes.ok;
}

function listPast({ nodes }: Inspection, now: Date): readonly TimedEvent[] {
  const past = nodes.flatMap(({ events }) =>
    events.map(({ ageMs, event }) => ({ at: new Date(now.getTime() - ageMs), event })),
  );
  return past.sort((a, b) => a.at.getTime() - b.at.getTime());
}

/** False for what was shown already: the same event, or another node's word on the same change of a node. */
function createNewsFilter(): (timed: TimedEvent) => boolean {
  const lastSeq = new Map<string, number>();
  const changes = new Map<string, number>();
  return ({ at, event: { event, nodeId, seq, node } }) => {
    if (seq <= (lastSeq.get(nodeId) ?? 0)) return false;
    remember(lastSeq, nodeId, seq);
    if (node === undefined || !event.startsWith('node-')) return true;
    const change = `${event} ${node}`;
    const before = changes.get(change);
    remember(changes, change, at.getTime());
    return before === undefined || at.getTime() - before > sameNewsMs;
  };
}

/** The newest ones: a watch may go on for months. */
function remember(map: Map<string, number>, key: string, value: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size > rememberedMax) map.delete(map.keys().next().value as string);
}

const paints: Readonly<Record<string, (text: string) => string>> = {
  'actor-died': pc.red,
  'node-lost': pc.red,
  'placement-refused': pc.yellow,
  'node-refused': pc.yellow,
  'bus-disconnected': pc.yellow,
  'bus-slow': pc.yellow,
  'bus-refused': pc.yellow,
};

function formatEvent(at: Date, { event, nodeName, message }: RuntimeEvent): string {
  const paint = paints[event] ?? ((text: string) => text);
  const time = at.toLocaleTimeString('en-GB');
  return `${pc.dim(time)}  ${nodeName}  ${paint(message)}`;
}
