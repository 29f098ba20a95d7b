import { recogniseEvent } from '../observation/event-shapes.ts';
import {
  describeEvent,
  describeReplica,
  describeTotals,
  describeUnknownEvent,
} from '../observation/event-text.ts';
import { formatError } from './error-text.ts';
import type { CommandEnvironment, Output } from './output.ts';
import { advance, emptyProgress, type Progress } from './progress.ts';
import { formatResult } from './result-table.ts';

const progressEveryMs = 5000;
/** Of long work, whose states differ little from one to the next. */
const statusEveryMs = 30_000;

/** Lines without control characters, for a pipe or a log; progress at most every five seconds. */
export function createPlainOutput({ stdout, stderr, now }: CommandEnvironment): Output {
  let progress = emptyProgress;
  let printedAtMs = 0;
  function print(text: string): void {
    stdout.write(`${text}\n`);
  }

  function printProgress(): void {
    if (now() - printedAtMs < progressEveryMs && !hasJustEnded(progress)) return;
    printedAtMs = now();
    for (const [name, replica] of progress.replicas) print(describeReplica(name, replica));
    if (progress.replicas.size > 0) print(describeTotals(progress));
    else print(progress.phase);
  }

  return {
    event(event) {
      const known = recogniseEvent(event);
      if (known === undefined) {
        print(describeUnknownEvent(event));
        return;
      }
      progress = advance(progress, known, now());
      if (known.type === 'prepare' || known.type === 'step') printProgress();
      else if (known.type === 'result') print(formatResult(known));
      const line = describeEvent(known);
      if (line !== undefined) print(line);
    },
    message: (text) => print(text),
    status(text) {
      if (now() - printedAtMs < statusEveryMs) return;
      printedAtMs = now();
      print(text);
    },
    error(error) {
      stderr.write(`actorctl: ${formatError(error)}\n`);
    },
    [Symbol.dispose]() {},
  };
}

/** The last step of the slowest replica: what stands then is worth a line. */
function hasJustEnded({ replicas }: Progress): boolean {
  return replicas.size > 0 && [...replicas.values()].every(({ last }) => last.step === last.steps);
}
