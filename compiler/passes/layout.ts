import type { Graph, GraphNode, Value } from '../graph.ts';
import type { GraphBuilder } from '../graph-builder.ts';
import { sameShape } from '../tensor-spec.ts';
import { rewriteGraph } from './rewrite-graph.ts';

/** Removes moves that undo one another: of reshapes, transposes, splits and concatenations. */
export function simplifyLayout(graph: Graph): Graph {
  return rewriteGraph(graph, (node, builder) => {
    switch (node.operator) {
      case 'Reshape':
        return simplifyReshape(node, builder);
      case 'Transpose':
        return simplifyTranspose(node, builder);
      case 'Split':
        return simplifySplit(node, builder);
      case 'Concat':
        return simplifyConcat(node, builder);
      case 'Cast':
        return node.inputs[0]!.dtype === node.outputs[0]!.dtype ? node.inputs : undefined;
      default:
        return undefined;
    }
  });
}

function simplifyReshape(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const [input] = node.inputs as [Value];
  const [{ shape }] = node.outputs as [Value];
  const before = builder.producer(input);
  const source = before?.operator === 'Reshape' ? before.inputs[0]! : input;
  if (sameShape(source.shape, shape)) return [source];
  return source === input ? undefined : [builder.reshape(source, shape)];
}

function simplifyTranspose(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const [input] = node.inputs as [Value];
  const before = builder.producer(input);
  const perm = node.attributes.perm as readonly number[];
  if (before?.operator === 'Transpose') {
    const first = before.attributes.perm as readonly number[];
    const both = perm.map((axis) => first[axis]!);
    const [source] = before.inputs as [Value];
    return isIdentity(both) ? [source] : [builder.transpose(source, both)];
  }
  if (isIdentity(perm)) return [input];
  // Moving axes of size 1 moves no element.
  const moved = perm.filter((axis) => input.shape[axis] !== 1);
  const inOrder = moved.every((axis, index) => index === 0 || axis > moved[index - 1]!);
  return inOrder ? [builder.reshape(input, node.outputs[0]!.shape)] : undefined;
}

/** A concatenation that is cut where it was joined. */
function simplifySplit(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const joined = builder.producer(node.inputs[0]);
  if (joined?.operator !== 'Concat' || joined.attributes.axis !== node.attributes.axis) {
    return undefined;
  }
  const parts = joined.inputs;
  const alike = parts.length === node.outputs.length;
  const same = parts.every((part, index) =>
    sameShape(part.shape, node.outputs[index]?.shape ?? []),
  );
  return alike && same ? parts : undefined;
}

/** All parts of a split, put back in order. */
function simplifyConcat(node: GraphNode, builder: GraphBuilder): readonly Value[] | undefined {
  const cut = builder.producer(node.inputs[0]);
  if (cut?.operator !== 'Split' || cut.attributes.axis !== node.attributes.axis) return undefined;
  const alike = cut.outputs.length === node.inputs.length;
  const same = cut.outputs.every((part, index) => part === node.inputs[index]);
  return alike && same ? cut.inputs : undefined;
}

function isIdentity(perm: readonly number[]): boolean {
  return perm.every((axis, index) => axis === index);
}
