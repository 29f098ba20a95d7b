export interface ProcessFigures {
  readonly rssBytes: number;
  readonly cpuMs: number;
}

/** Memory and processor time of this very process. */
export function processFigures(): ProcessFigures {
  const { user, system } = process.cpuUsage();
  return { rssBytes: process.memoryUsage().rss, cpuMs: Math.round((user + system) / 1000) };
}
