import type { Graph } from './graph.ts';
import { absorbBatchTransposes } from './passes/batch-transposes.ts';
import { appendBiasRows } from './passes/bias-rows.ts';
import { absorbBlockedEpilogues } from './passes/blocked-epilogues.ts';
import { shareCommonSubexpressions } from './passes/common-subexpressions.ts';
import { removeDeadCode } from './passes/dead-code.ts';
import { foldConstants } from './passes/fold-constants.ts';
import { keepBlocks } from './passes/keep-blocks.ts';
import { absorbGains, fuseLayerNorm } from './passes/layer-norm.ts';
import { simplifyLayout } from './passes/layout.ts';
import { transposeLeftOperands } from './passes/left-operands.ts';
import { fuseLogSoftmax } from './passes/log-softmax.ts';
import { lowerConvolutions, type Target } from './passes/lower-convolutions.ts';
import { transposeNarrowProducts } from './passes/narrow-products.ts';
import { narrowSplits } from './passes/narrow-splits.ts';
import { computeOutputsFirst } from './passes/outputs-first.ts';
import { absorbFactorsAndAdditions, absorbTransposes } from './passes/products.ts';
import { type QuantisedGraph, quantiseProducts } from './passes/quantise-products.ts';
import { improveReductions } from './passes/reductions.ts';
import { simplifyReluGradients } from './passes/relu-gradient.ts';
import { multiplyRows } from './passes/row-products.ts';
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
/** What pays on a processor alone. */
const PROCESSOR_PASSES: readonly Pass[] = [
  keepBlocks,
  absorbBlockedEpilogues,
  absorbBatchTransposes,
  transposeLeftOperands,
  multiplyRows,
  appendBiasRows,
];
/** What other devices need. */
const DEVICE_PASSES: readonly Pass[] = [narrowSplits];
const ENGINE_PASSES: readonly Pass[] = [
  transposeNarrowProducts,
  absorbFactorsAndAdditions,
  absorbGains,
  improveReductions,
  simplifyLayout,
  shareCommonSubexpressions,
  removeDeadCode,
  computeOutputsFirst,
];

export interface OptimiseOptions {
  /** What will run the graph. */
  readonly target: Target;
  /** Inputs of the graph whose products are computed in int8. */
  readonly int8Inputs: ReadonlySet<string>;
}

/** Rewrites a traced graph into a cheaper one with the same results, of operators that engines have. */
export function optimise(graph: Graph, { target, int8Inputs }: OptimiseOptions): QuantisedGraph {
  const plain = apply(PATTERN_PASSES, lowerConvolutions(graph, target));
  const { graph: quantised, inputs } = quantiseProducts(plain, int8Inputs);
  const own = target === 'any' ? DEVICE_PASSES : PROCESSOR_PASSES;
  return { graph: apply([...own, ...ENGINE_PASSES], quantised), inputs };
}

function apply(passes: readonly Pass[], graph: Graph): Graph {
  return passes.reduce((optimised, pass) => pass(optimised), graph);
}
