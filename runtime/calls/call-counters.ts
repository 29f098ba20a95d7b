/** Upper bounds of the classes that calls are counted in by how long they ran; the last is open. */
export const CALL_DURATIONS_MS = [0.1, 1, 10, 100, 1_000, 10_000] as const;

/** What an actor's calls came to so far. Kept on the way of every call: nothing but additions. */
export class CallCounters {
  done = 0;
  failed = 0;
  /** Milliseconds from the begin of a method to its answer, summed. */
  ranMs = 0;
  receivedBytes = 0;
  sentBytes = 0;
  /** Calls by duration, not cumulative; one more class than there are bounds. */
  readonly durations: number[] = new Array(CALL_DURATIONS_MS.length + 1).fill(0);

  noteDuration(ms: number): void {
    this.ranMs += ms;
    let index = 0;
    while (index < CALL_DURATIONS_MS.length && ms > CALL_DURATIONS_MS[index]!) index += 1;
    this.durations[index]! += 1;
  }
}
