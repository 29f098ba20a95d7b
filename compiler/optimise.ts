import type { Graph } from './graph.ts';
import { shareCommonSubexpressions } from './passes/common-subexpressions.ts';
import { removeDeadCode } from './passes/dead-code.ts';
import { foldConstants } from './passes/fold-constants.ts';
import { fuseLayerNorm } from './passes/layer-norm.ts';
import { simplifyLayout } from './passes/layout.ts';
import { fuseLogSoftmax } from './passes/log-softmax.ts';
import { transposeNarrowProducts } from './passes/narrow-products.ts';
import { absorbFactorsAndAdditions, absorbTransposes } from './passes/products.ts';
import { improveReductions } from './passes/reductions.ts';
import { joinSumsOfProducts } from './passes/sum-of-products.ts';

/**
 * The passes in order: first what makes patterns plain, then what recognises them, then what suits
 * the engine. Each takes a graph and returns one with the same results; the last two clean up.
 */
const PASSES: readonly ((graph: Graph) => Graph)[] = [
  removeDeadCode,
  foldConstants,
  simplifyLayout,
  shareCommonSubexpressions,
  fuseLogSoftmax,
  fuseLayerNorm,
  absorbTransposes,
  joinSumsOfProducts,
  transposeNarrowProducts,
  absorbFactorsAndAdditions,
  improveReductions,
  simplifyLayout,
  shareCommonSubexpressions,
  removeDeadCode,
];

/** Rewrites a traced graph into a cheaper one with the same results. */
export function optimise(graph: Graph): Graph {
  return PASSES.reduce((optimised, pass) => pass(optimised), graph);
}
