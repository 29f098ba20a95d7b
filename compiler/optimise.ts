import type { Graph } from './graph.ts';
import { shareCommonSubexpressions } from './passes/common-subexpressions.ts';
import { removeDeadCode } from './passes/dead-code.ts';
import { foldConstants } from './passes/fold-constants.ts';
import { fuseLayerNorm } from './passes/layer-norm.ts';
import { simplifyLayout } from './passes/layout.ts';
import { fuseLogSoftmax } from './passes/log-softmax.ts';
import { transposeNarrowProducts } from './passes/narrow-products.ts';
import { absorbFactorsAndAdditions, absorbTransposes } from './passes/products.ts';
import { type QuantisedGraph, quantiseProducts } from './passes/quantise-products.ts';
import { improveReductions } from './passes/reductions.ts';
import { simplifyReluGradients } from './passes/relu-gradient.ts';
import { joinSumsOfProducts } from './passes/sum-of-products.ts';

type Pass = (graph: Graph) => Graph;

/**
 * The passes in order: first what makes patterns plain, then what recognises them, then what suits
 * the engine. Each takes a graph and returns one with the same results; the last two clean up.
 */
const PATTERN_PASSES: readonly Pass[] = [
  removeDeadCode,
  foldConstants,
  simplifyLayout,
  shareCommonSubexpressions,
  fuseLogSoftmax,
  fuseLayerNorm,
  simplifyReluGradients,
  absorbTransposes,
  joinSumsOfProducts,
];
const ENGINE_PASSES: readonly Pass[] = [
  transposeNarrowProducts,
  absorbFactorsAndAdditions,
  improveReductions,
  simplifyLayout,
  shareCommonSubexpressions,
  removeDeadCode,
];

/** Rewrites a traced graph into a cheaper one with the same results. */
export function optimise(graph: Graph): Graph {
  return optimiseWithInt8(graph, new Set()).graph;
}

/** `optimise`, with the products of some of the graph's inputs in int8. */
export function optimiseWithInt8(graph: Graph, int8Inputs: ReadonlySet<string>): QuantisedGraph {
  const plain = apply(PATTERN_PASSES, graph);
  const { graph: quantised, inputs } = quantiseProducts(plain, int8Inputs);
  return { graph: apply(ENGINE_PASSES, quantised), inputs };
}

function apply(passes: readonly Pass[], graph: Graph): Graph {
  return passes.reduce((optimised, pass) => pass(optimised), graph);
}
