import type { ActorCalls, JobEvent, NodeInfo } from '../../runtime/index.ts';
import { writeAtomically } from '../atomic-file.ts';
import { recogniseEvent, type StepEvent } from '../observation/event-shapes.ts';

/** An entry of the Trace Event Format, which chrome://tracing and Perfetto open; times in microseconds. */
type TraceEvent =
  | ({ readonly ph: 'X'; readonly dur: number; readonly args: object } & Placed)
  | ({ readonly ph: 'i'; readonly s: 't'; readonly args: object } & Placed)
  | ({ readonly ph: 'C'; readonly args: Readonly<Record<string, number>> } & Placed)
  | ({ readonly ph: 'M'; readonly args: { readonly name: string } } & Omit<Placed, 'ts' | 'cat'>);

interface Placed {
  readonly name: string;
  readonly cat: string;
  readonly ts: number;
  readonly pid: number;
  readonly tid: number;
}

/** A page with more takes minutes to open. */
const entriesMax = 300_000;

/**
 * When what ran, for a timeline in a browser: a process for each node, a track for each actor with its calls, its
 * streams and its lives, one for each replica's steps, and its figures as curves.
 */
export class Timeline {
  readonly #entries: TraceEvent[] = [];
  readonly #names: TraceEvent[] = [];
  readonly #processes = new Map<string, number>();
  readonly #tracks = new Map<string, number>();
  /** When the calls on a track end; calls and streams of one actor that overlap get tracks of their own. */
  readonly #busyUntil = new Map<string, number[]>();
  readonly #lastSteps = new Map<string, number>();
  #omitted = 0;
  #nodes: () => readonly NodeInfo[] = () => [];

  /** Nodes are shown by their names from here on. */
  nameNodes(nodes: () => readonly NodeInfo[]): void {
    this.#nodes = nodes;
  }

  addCalls({ actor, node, calls, epoch, omitted }: ActorCalls): void {
    this.#omitted += omitted;
    const inOrder = calls.toSorted((a, b) => a.startMs - b.startMs);
    for (const { method, startMs, durationMs, failed, items } of inOrder) {
      const endMs = startMs + durationMs;
      const lane = this.#freeLane(`${node} ${actor}`, startMs, endMs);
      const track = lane === 0 ? actor : `${actor} (${lane + 1})`;
      const place = this.#place(node, track);
      const ts = microseconds(startMs);
      // Of the rounded ends: readers take slices of one track that overlap by a rounding for damaged.
      const dur = microseconds(endMs) - ts;
      const cat = items === undefined ? 'call' : 'stream';
      const args = { epoch, failed, ...(items !== undefined && { items }) };
      this.#add({ name: method, cat, ph: 'X', ts, dur, ...place, args });
    }
  }

  /** An event of the run, with the time at which it came. */
  addEvent(event: JobEvent, atMs: number): void {
    const known = recogniseEvent(event);
    if (known?.type === 'step') this.#addStep(known, atMs);
    if (known?.type !== 'actor') return;
    const { node, epoch, pid } = event;
    const args = { epoch, pid, ...(known.cause && { cause: known.cause.message }) };
    const place = this.#place(String(node), known.actor);
    const ts = microseconds(atMs);
    this.#add({ name: known.event, cat: 'actor', ph: 'i', s: 't', ts, ...place, args });
  }

  /** @returns how many entries didn't fit */
  write(path: string): number {
    const document = {
      displayTimeUnit: 'ms',
      otherData: { omitted: this.#omitted },
      traceEvents: [...this.#names, ...this.#entries],
    };
    writeAtomically(path, JSON.stringify(document));
    return this.#omitted;
  }

  /** A step lasts from one report to the next: that is when the job heard of it. */
  #addStep(event: StepEvent, atMs: number): void {
    const replica = String(event.replica);
    const before = this.#lastSteps.get(replica);
    this.#lastSteps.set(replica, atMs);
    const place = this.#place('steps', replica);
    const figures = {
      loss: event.loss,
      ...(event.tokensPerSecond != null && { tokensPerSecond: event.tokensPerSecond }),
      ...(event.stalenessSteps != null && { stalenessSteps: event.stalenessSteps }),
    };
    const ts = microseconds(atMs);
    if (before !== undefined) {
      const begin = microseconds(before);
      const name = `step ${event.step}`;
      this.#add({
        name,
        cat: 'step',
        ph: 'X',
        ts: begin,
        dur: ts - begin,
        ...place,
        args: figures,
      });
    }
    for (const [figure, value] of Object.entries(figures)) {
      const name = `${replica} ${figure}`;
      this.#add({ name, cat: 'figure', ph: 'C', ts, ...place, args: { [figure]: value } });
    }
  }

  #add(entry: TraceEvent): void {
    if (this.#entries.length >= entriesMax) this.#omitted += 1;
    else this.#entries.push(entry);
  }

  #freeLane(track: string, startMs: number, endMs: number): number {
    const ends = this.#busyUntil.get(track) ?? [];
    this.#busyUntil.set(track, ends);
    const free = ends.findIndex((end) => end <= startMs);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = endMs;
    return lane;
  }

  /** Numbers of a node and of a track there; each is named when it is first seen. */
  #place(node: string, track: string): { readonly pid: number; readonly tid: number } {
    const pid = this.#number(this.#processes, node, (pid) => {
      const name = this.#nodes().find(({ nodeId }) => nodeId === node)?.nodeName ?? node;
      this.#names.push({ name: 'process_name', ph: 'M', pid, tid: 0, args: { name } });
    });
    const tid = this.#number(this.#tracks, `${node} ${track}`, (tid) => {
      this.#names.push({ name: 'thread_name', ph: 'M', pid, tid, args: { name: track } });
    });
    return { pid, tid };
  }

  #number(numbers: Map<string, number>, key: string, announce: (number: number) => void): number {
    const known = numbers.get(key);
    if (known !== undefined) return known;
    const next = numbers.size + 1;
    numbers.set(key, next);
    announce(next);
    return next;
  }
}

function microseconds(ms: number): number {
  return Math.round(ms * 1000);
}
