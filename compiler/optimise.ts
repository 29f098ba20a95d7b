import type { Graph } from './graph.ts';
import { removeDeadCode } from './passes/dead-code.ts';

/** Rewrites a traced graph into a cheaper one with the same results. */
export function optimise(graph: Graph): Graph {
  return removeDeadCode(graph);
}
