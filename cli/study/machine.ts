import { availableParallelism, cpus, totalmem } from 'node:os';

/** What figures were made on. */
export interface Machine {
  readonly cpu: string;
  /** That this process may use. */
  readonly cores: number;
  readonly memoryBytes: number;
  /** Version of the runtime: `Node 26.10.0`. */
  readonly node: string;
}

export function describeThisMachine(): Machine {
  const { deno, node } = process.versions;
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: deno === undefined ? `Node ${node}` : `Deno ${deno}`,
  };
}
