import * as v from 'valibot';

// The rules of the Trace Event Format (Google, 2016) that its readers hold a document to: chrome://tracing
// drops what breaks them, Perfetto counts it as an import error.

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const placed = { name: v.string(), cat: v.string(), ts: whole, pid: whole, tid: whole };
const label = v.strictObject({ name: v.string() });

const eventSchema = v.variant('ph', [
  v.strictObject({
    ph: v.literal('X'),
    ...placed,
    dur: whole,
    args: v.record(v.string(), v.unknown()),
  }),
  v.strictObject({
    ph: v.literal('i'),
    ...placed,
    s: v.picklist(['t', 'p', 'g']),
    args: v.record(v.string(), v.unknown()),
  }),
  v.strictObject({
    ph: v.literal('C'),
    ...placed,
    args: v.record(v.string(), v.pipe(v.number(), v.finite())),
  }),
  v.strictObject({
    ph: v.literal('M'),
    name: v.picklist(['process_name', 'thread_name']),
    pid: whole,
    tid: whole,
    args: label,
  }),
]);

const documentSchema = v.strictObject({
  displayTimeUnit: v.picklist(['ms', 'ns']),
  otherData: v.record(v.string(), v.unknown()),
  traceEvents: v.array(eventSchema),
});

export type TraceEvent = v.InferOutput<typeof eventSchema>;

/**
 * The events of a document that a reader shows as they are meant. No B and E, and no flows, are among them, so none
 * can be unmatched.
 * @throws ValiError, or Error naming the events that don't fit together.
 */
export function readTraceEvents(text: string): readonly TraceEvent[] {
  const { traceEvents } = v.parse(documentSchema, JSON.parse(text));
  const tracks = new Map<string, Extract<TraceEvent, { ph: 'X' }>[]>();
  const named = new Set<string>();
  for (const event of traceEvents) {
    const track = `${event.pid}/${event.tid}`;
    if (event.ph === 'M') {
      const key = event.name === 'process_name' ? `${event.pid}` : track;
      if (named.has(key)) throw new Error(`${event.name} of ${key} is given twice`);
      named.add(key);
      continue;
    }
    if (!named.has(`${event.pid}`) || !named.has(track)) throw new Error(`${track} has no name`);
    if (event.ph === 'X') tracks.set(track, [...(tracks.get(track) ?? []), event]);
  }
  for (const [track, slices] of tracks) checkNesting(track, slices);
  return traceEvents;
}

/** Of two slices of a track one is within the other, or they don't touch: as calls on a stack. */
function checkNesting(track: string, slices: Extract<TraceEvent, { ph: 'X' }>[]): void {
  slices.sort((a, b) => a.ts - b.ts || b.dur - a.dur);
  const open: { readonly name: string; readonly end: number }[] = [];
  for (const { name, ts, dur } of slices) {
    while (open.length > 0 && open.at(-1)!.end <= ts) open.pop();
    const outer = open.at(-1);
    if (outer !== undefined && ts + dur > outer.end) {
      throw new Error(`on track ${track} ${name} at ${ts} overlaps the end of ${outer.name}`);
    }
    open.push({ name, end: ts + dur });
  }
}
