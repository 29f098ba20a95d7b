import type { Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { UnsupportedError } from './kernel.ts';

/** What `tf.fused` operations do to their result. */
export function activate(
  graph: GraphBuilder,
  x: Value,
  attributes: { readonly activation?: string; readonly leakyreluAlpha?: number },
  preluWeights?: Value,
): Value {
  const zero = graph.splat(0, 'float32');
  const { activation } = attributes;
  switch (activation) {
    case undefined:
    case null:
    case 'linear':
      return x;
    case 'relu':
      return graph.binary('Max', x, zero);
    case 'relu6':
      return graph.binary('Min', graph.binary('Max', x, zero), graph.splat(6, 'float32'));
    case 'sigmoid':
      return graph.unary('Sigmoid', x);
    case 'elu':
      return graph.unary('Elu', x);
    case 'leakyrelu':
      return graph.unary('LeakyRelu', x, { alpha: attributes.leakyreluAlpha ?? 0.2 });
    case 'prelu':
      return prelu(graph, x, preluWeights!);
    default:
      throw new UnsupportedError(
        `A fused operation with activation '${activation}' can't be compiled; ` +
          'call the activation as an operation of its own.',
      );
  }
}

/** `alpha · x` for negative x, x for the others. */
export function prelu(graph: GraphBuilder, x: Value, alpha: Value): Value {
  const scaled = graph.binary('Mul', x, alpha);
  const negative = graph.binary('Less', x, graph.splat(0, x.dtype), 'bool');
  return graph.add('Where', [negative, scaled, x], scaled);
}
