import { createLogUpdate } from 'log-update';
import pc from 'picocolors';
import { recogniseEvent } from '../observation/event-shapes.ts';
import {
  describeEvaluation,
  describeEvent,
  describeReplica,
  describeTotals,
  describeUnknownEvent,
} from '../observation/event-text.ts';
import { formatError } from './error-text.ts';
import type { CommandEnvironment, Output } from './output.ts';
import { advance, emptyProgress, type Progress } from './progress.ts';
import { formatResult } from './result-table.ts';

const drawEveryMs = 200;

/** A live display at the end of the terminal; lasting lines scroll by above it. */
export function createTerminalOutput({ stdout, stderr, now }: CommandEnvironment): Output {
  const live = createLogUpdate(stdout);
  let progress = emptyProgress;
  let status: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  /** Draws soon; many events make one drawing. */
  function draw(): void {
    timer ??= setTimeout(() => {
      timer = undefined;
      live(status ?? formatProgress(progress));
    }, drawEveryMs);
  }

  function endLive(): void {
    clearTimeout(timer);
    timer = undefined;
    live.clear();
  }

  function print(text: string): void {
    const wasLive = progress !== emptyProgress || status !== undefined;
    endLive();
    stdout.write(`${text}\n`);
    if (wasLive) draw();
  }

  return {
    event(event) {
      const known = recogniseEvent(event);
      if (known === undefined) {
        print(describeUnknownEvent(event));
      } else if (known.type === 'result') {
        progress = emptyProgress;
        print(formatResult(known));
      } else {
        progress = advance(progress, known, now());
        // The last evaluation stands in the live display, it needs no line of its own.
        const line = known.type === 'evaluation' ? undefined : describeEvent(known);
        if (line !== undefined) print(line);
        draw();
      }
    },
    message: (text) => print(text),
    status(text) {
      status = text;
      draw();
    },
    error(error) {
      endLive();
      stderr.write(`${pc.red('actorctl:')} ${formatError(error)}\n`);
    },
    [Symbol.dispose]: endLive,
  };
}

function formatProgress(progress: Progress): string {
  if (progress.replicas.size === 0) return pc.dim(progress.phase);
  const lines = [...progress.replicas].map(([name, replica]) => describeReplica(name, replica));
  if (progress.evaluation !== undefined) lines.push(describeEvaluation(progress.evaluation));
  lines.push(pc.dim(describeTotals(progress)));
  return lines.join('\n');
}
