import { createHash } from 'node:crypto';
import type { Constant, Graph, Value } from './graph.ts';

/** A hash of what a graph computes: equal graphs have the same, whenever and wherever they were traced. */
export function graphHash(graph: Graph): string {
  const hash = createHash('sha256');
  const numbers = new Map<Value, number>();
  const add = (value: Value): void => {
    const known = numbers.get(value);
    if (known !== undefined) {
      hash.update(`#${known}`);
      return;
    }
    hash.update(`${value.dtype}[${value.shape}]`);
    if (value.constant !== undefined) addConstant(value.constant);
    numbers.set(value, numbers.size);
  };
  const addConstant = (constant: Constant): void => {
    if ('splat' in constant) {
      // A text would make one of zero and minus zero.
      hash.update(Float64Array.of(constant.splat));
      return;
    }
    hash.update(`=${constant.data.byteLength}:`).update(constant.data);
  };
  const addNamed = (values: ReadonlyMap<string, Value>): void => {
    for (const [name, value] of values) {
      hash.update(JSON.stringify(name));
      add(value);
    }
  };
  addNamed(graph.inputs);
  for (const { operator, inputs, outputs, attributes } of graph.nodes) {
    hash.update(`\n${operator}${JSON.stringify(attributes)}`);
    inputs.forEach(add);
    hash.update('>');
    outputs.forEach(add);
  }
  hash.update('\n');
  addNamed(graph.outputs);
  return hash.digest('hex');
}
