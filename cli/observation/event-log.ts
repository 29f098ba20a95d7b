import { closeSync, createReadStream, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { JobEvent } from '../../runtime/index.ts';

/** Appends events to `events.jsonl`. */
export interface EventLog extends Disposable {
  append(event: JobEvent): void;
}

const bufferCharactersMax = 64 * 1024;
const flushAfterMs = 250;

/**
 * Opens the log for appending; a line that a crash cut off is closed first. The log is for curves and
 * later reading, so a disk that fails here doesn't end the run: `onFailure` is called once and the rest
 * of the events is dropped. At most a quarter of a second of events is lost with the process.
 */
export function openEventLog(path: string, onFailure: (error: Error) => void): EventLog {
  const file = openSync(path, 'a+');
  let buffer = endsInMidLine(file) ? '\n' : '';
  let failed = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    const text = buffer;
    buffer = '';
    if (failed || text === '') return;
    try {
      writeFileSync(file, text);
    } catch (error) {
      failed = true;
      onFailure(error as Error);
    }
  }

  return {
    append(event) {
      // A job that was given up may go on emitting; nobody listens any more.
      if (closed) return;
      buffer += `${JSON.stringify(event)}\n`;
      if (buffer.length >= bufferCharactersMax) flush();
      else timer ??= setTimeout(flush, flushAfterMs);
    },
    [Symbol.dispose]() {
      flush();
      closed = true;
      closeSync(file);
    },
  };
}

/** The events of earlier sessions, oldest first; lines that a crash damaged are left out. */
export async function* readEventLog(path: string): AsyncGenerator<JobEvent> {
  for await (const line of createInterface({ input: createReadStream(path, 'utf8') })) {
    const event = parseEvent(line);
    if (event !== undefined) yield event;
  }
}

/** An event of one line; undefined for anything else. */
export function parseEvent(line: string): JobEvent | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isEvent = typeof value === 'object' && value !== null && 'type' in value;
    return isEvent && typeof value.type === 'string' ? (value as JobEvent) : undefined;
  } catch {
    return undefined;
  }
}

function endsInMidLine(file: number): boolean {
  const { size } = fstatSync(file);
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  readSync(file, last, 0, 1, size - 1);
  return last[0] !== 0x0a;
}
