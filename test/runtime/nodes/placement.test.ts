import test from 'ava';
import {
  type NodeInfo,
  type PlacementRequest,
  rankNodes,
} from '../../../runtime/nodes/placement.ts';

function node(nodeId: string, changes: Partial<NodeInfo> = {}): NodeInfo {
  const resources = { cpu: 4, memoryBytes: 1000 };
  const rest = { pid: 1, labels: {}, actorTypes: ['a/b'], actors: 0 };
  return { nodeId, nodeName: nodeId, self: false, ...rest, resources, free: resources, ...changes };
}

const here = node('here', { self: true, actorTypes: [] });
const [one, two] = [node('one'), node('two')];
const nobody = (): number => 0;
const request: PlacementRequest = { type: 'a/b', placement: 'pack', resources: {} };

function ids(nodes: readonly NodeInfo[]): readonly string[] {
  return nodes.map(({ nodeId }) => nodeId);
}

test('pack begins here, then goes where most actors are', (t) => {
  const counts: Record<string, number> = { one: 1, two: 3 };
  const ranked = rankNodes(request, [here, one, two], (id) => counts[id] ?? 0);
  t.deepEqual(ids(ranked.nodes), ['here', 'two', 'one']);
});

test('spread goes where fewest actors are, and here among equals', (t) => {
  const spread = { ...request, placement: 'spread' } as const;
  t.deepEqual(ids(rankNodes(spread, [two, one, here], nobody).nodes), ['here', 'one', 'two']);
  const counts: Record<string, number> = { here: 1, one: 1 };
  const ranked = rankNodes(spread, [here, one, two], (id) => counts[id] ?? 0);
  t.deepEqual(ids(ranked.nodes), ['two', 'here', 'one']);
});

test('a required node excludes all others, with the reason of each', (t) => {
  const ranked = rankNodes({ ...request, nodeId: 'one' }, [here, one, two], nobody);
  t.deepEqual(ids(ranked.nodes), ['one']);
  t.is(ranked.reasons.length, 2);
  const unknown = rankNodes({ ...request, nodeId: 'three' }, [here], nobody);
  t.deepEqual(unknown.nodes, []);
  t.regex(unknown.reasons.join(), /no node three is known/);
});

test('a node without room or without the type is passed over, in plain words', (t) => {
  const full = node('full', { free: { cpu: 1, memoryBytes: 1000 } });
  const other = node('other', { actorTypes: ['c/d'] });
  const wanted = { ...request, resources: { cpu: 2, memoryBytes: 500 } };
  const ranked = rankNodes(wanted, [full, other, two], nobody);
  t.deepEqual(ids(ranked.nodes), ['two']);
  t.regex(ranked.reasons[0]!, /1 cpu free, 2 wanted/);
  t.regex(ranked.reasons[1]!, /without a module for actor type a\/b \(it has: c\/d\)/);
});
