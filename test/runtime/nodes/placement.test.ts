import test from 'ava';
import {
  describeRefusals,
  isUnsurpassed,
  type NodeInfo,
  type OwnActors,
  type PlacementRequest,
  rankNodes,
} from '../../../runtime/nodes/placement.ts';
import { freeResources, missingResource } from '../../../runtime/wire/resources.ts';

function node(nodeId: string, changes: Partial<NodeInfo> = {}): NodeInfo {
  const resources = { cpu: 4, memoryBytes: 1000 };
  const rest = { pid: 1, labels: {}, actorTypes: ['a/b'], actors: 0, draining: false };
  return { nodeId, nodeName: nodeId, self: false, ...rest, resources, free: resources, ...changes };
}

const here = node('here', { self: true, actorTypes: [] });
const [one, two] = [node('one'), node('two')];
const nobody: OwnActors = { countOn: () => 0, isLabelledOn: () => false };
const counting = (counts: Record<string, number>): OwnActors => ({
  ...nobody,
  countOn: (id) => counts[id] ?? 0,
});
const request: PlacementRequest = { type: 'a/b', strategy: 'pack', resources: {} };

function ids(nodes: readonly NodeInfo[]): readonly string[] {
  return nodes.map(({ nodeId }) => nodeId);
}

test('pack begins here, then goes where most actors are', (t) => {
  const ranked = rankNodes(request, [here, one, two], counting({ one: 1, two: 3 }));
  t.deepEqual(ids(ranked.nodes), ['here', 'two', 'one']);
});

test('spread goes where fewest actors are, and here among equals', (t) => {
  const spread = { ...request, strategy: 'spread' } as const;
  t.deepEqual(ids(rankNodes(spread, [two, one, here], nobody).nodes), ['here', 'one', 'two']);
  const ranked = rankNodes(spread, [here, one, two], counting({ here: 1, one: 1 }));
  t.deepEqual(ids(ranked.nodes), ['two', 'here', 'one']);
});

test('a required node excludes all others, with the reason of each', (t) => {
  const ranked = rankNodes({ ...request, nodeId: 'one' }, [here, one, two], nobody);
  t.deepEqual(ids(ranked.nodes), ['one']);
  t.is(ranked.refusals.length, 2);
  const unknown = rankNodes({ ...request, nodeId: 'three' }, [here], nobody);
  t.deepEqual(unknown.nodes, []);
  t.regex(describeRefusals(unknown.refusals), /no node three is known/);
});

test('a node that is about to leave is passed over', (t) => {
  const ranked = rankNodes(request, [node('three', { draining: true }), two], nobody);
  t.deepEqual(ids(ranked.nodes), ['two']);
  t.regex(ranked.refusals[0]!.reason, /about to leave/);
});

test('a node without room or without the type is passed over, in plain words', (t) => {
  const full = node('full', { free: { cpu: 1, memoryBytes: 1000 } });
  const other = node('other', { actorTypes: ['c/d'] });
  const wanted = { ...request, resources: { cpu: 2, memoryBytes: 500 } };
  const ranked = rankNodes(wanted, [full, other, two], nobody);
  t.deepEqual(ids(ranked.nodes), ['two']);
  t.regex(ranked.refusals[0]!.reason, /1 cpu free, 2 wanted/);
  t.regex(ranked.refusals[1]!.reason, /without a module for actor type a\/b \(it has: c\/d\)/);
});

test('gpu and custom resources count, and what rounding leaves of them', (t) => {
  const resources = { gpu: 1, custom: { camera: 2 } };
  const seen = node('seen', { resources, free: resources });
  const wanted = (resources: object) => rankNodes({ ...request, resources }, [seen, one], nobody);
  t.deepEqual(ids(wanted({ gpu: 0.5, custom: { camera: 2 } }).nodes), ['seen']);
  t.regex(wanted({ custom: { camera: 3 } }).refusals[0]!.reason, /2 camera free, 3 wanted/);
  t.regex(wanted({ custom: { toString: 1 } }).refusals[0]!.reason, /0 toString free, 1 wanted/);
  const tenth = { cpu: 0.1 };
  const left = freeResources(
    { cpu: 1 },
    Array.from({ length: 9 }, () => tenth),
  );
  t.is(missingResource(tenth, left), undefined);
});

test('an actor that must be beside another goes where that one lives', (t) => {
  const beside = { actor: 'data', nodeId: 'two' };
  const ranked = rankNodes({ ...request, beside }, [here, one, two], nobody);
  t.deepEqual(ids(ranked.nodes), ['two']);
  t.regex(ranked.refusals[0]!.reason, /is not where actor data lives/);
});

test('required labels exclude, preferred ones come first', (t) => {
  const attic = node('attic', { labels: { zone: 'attic', disk: 'ssd' } });
  const cellar = node('cellar', { labels: { zone: 'cellar', disk: 'ssd' } });
  const rules = { requiredLabels: { disk: 'ssd' }, preferredLabels: { zone: 'cellar' } };
  const ranked = rankNodes({ ...request, ...rules }, [here, attic, cellar], nobody);
  t.deepEqual(ids(ranked.nodes), ['cellar', 'attic']);
  t.regex(
    describeRefusals(ranked.refusals),
    /here \(here\) has no such label, disk=ssd is required/,
  );
});

test('labels of other actors draw an actor to their nodes, or keep it from them', (t) => {
  const own = { ...nobody, isLabelledOn: (id: string) => id === 'one' };
  const labels = { role: 'replica', group: 'a' };
  const beside = rankNodes({ ...request, besideLabels: labels }, [here, one], own);
  t.deepEqual(ids(beside.nodes), ['one']);
  t.is(
    describeRefusals(beside.refusals),
    'node here (here) has no actor of this system with role=replica group=a',
  );
  const apart = rankNodes({ ...request, apartFromLabels: labels }, [here, one], own);
  t.deepEqual(ids(apart.nodes), ['here']);
  t.is(
    describeRefusals(apart.refusals),
    'node one (one) has an actor of this system with role=replica group=a already',
  );
});

test('the best of the nodes that are known may be surpassed by one that is not', (t) => {
  const spread = { ...request, strategy: 'spread' } as const;
  const wishes = { ...request, preferredLabels: { gpu: 'yes' } };
  t.false(isUnsurpassed(request, undefined, nobody));
  t.true(isUnsurpassed(request, one, counting({ one: 1 })));
  t.true(isUnsurpassed(spread, one, nobody));
  t.false(isUnsurpassed(spread, one, counting({ one: 1 })));
  t.false(isUnsurpassed(wishes, one, nobody));
  t.true(isUnsurpassed(wishes, node('three', { labels: { gpu: 'yes' } }), nobody));
});

test('nodes that refuse for the same reason are told together, some of them by name', (t) => {
  const full = Array.from({ length: 1_000 }, (_, index) => {
    const free = { cpu: index === 7 ? 1 : 0 };
    return node(`n${index}`, { free });
  });
  const { refusals } = rankNodes({ ...request, resources: { cpu: 2 } }, full, nobody);
  t.is(
    describeRefusals(refusals),
    'nodes n0 (n0), n1 (n1), n2 (n2) and 996 more: each has 0 cpu free, 2 wanted; ' +
      'node n7 (n7) has 1 cpu free, 2 wanted',
  );
  const many = refusals.map(({ node: refuses }, index) => {
    return { ...(refuses && { node: refuses }), reason: `is as odd as ${index}` };
  });
  t.regex(describeRefusals(many), /n19 \(n19\) is as odd as 19; and 980 more reasons$/);
});
