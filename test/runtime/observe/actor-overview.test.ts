import test from 'ava';
import {
  type HostedFacts,
  listActors,
  type NodeInspection,
  type OwnedFacts,
} from '../../../runtime/index.ts';

const figures = {
  uptimeMs: 5,
  waiting: 1,
  done: 2,
  failed: 3,
  ranMs: 4,
  durations: [],
  receivedBytes: 0,
  sentBytes: 0,
};

function node(
  nodeId: string,
  parts: { readonly hosted?: readonly HostedFacts[]; readonly owned?: readonly OwnedFacts[] },
): NodeInspection {
  return {
    nodeId,
    nodeName: `name of ${nodeId}`,
    pid: 1,
    protocol: 1,
    bus: 'memory',
    labels: {},
    resources: {},
    free: {},
    actorTypes: [],
    uptimeMs: 0,
    rssBytes: 0,
    cpuMs: 0,
    peers: [],
    refusals: [],
    hosted: [],
    owned: [],
    omittedActors: 0,
    objects: [],
    objectMemoryBytes: 0,
    omittedObjects: 0,
    events: [],
    ...parts,
  };
}

function hosted(name: string, owner: string, epoch = 1): HostedFacts {
  return { name, type: 'test/a', owner, epoch, isolation: 'process', pid: 9, figures };
}

function owned(name: string, owner: string, change: Partial<OwnedFacts> = {}): OwnedFacts {
  const life = { epoch: 1, node: 'far', pid: 9, restarts: 0, sinceMs: 7 };
  const detached = owner.startsWith('@');
  return { name, type: 'test/a', owner, detached, status: 'running', ...life, ...change };
}

test('what owner and host tell of an actor is put together', (t) => {
  const near = node('near', { owned: [owned('a', 'near')] });
  const far = node('far', { hosted: [hosted('a', 'near')] });
  const [actor, ...others] = listActors({ nodes: [near, far], silent: [] });
  t.like(actor, { name: 'a', status: 'running', node: 'name of far', owner: 'name of near' });
  t.like(actor, { nodeId: 'far', ownerId: 'near', restarts: 0, done: 2, waiting: 1 });
  t.is(others.length, 0);
});

test('a detached actor belongs to the node that answers for it', (t) => {
  const near = node('near', { owned: [owned('a', '@a', { epoch: 4 })] });
  const far = node('far', { hosted: [hosted('a', '@a', 4)] });
  const actors = listActors({ nodes: [near, far], silent: [] });
  t.is(actors.length, 1);
  t.like(actors[0], { detached: true, ownerId: 'near', nodeId: 'far', epoch: 4, done: 2 });
});

test('a life that its owner has replaced is outdated, one whose owner is silent is not', (t) => {
  const near = node('near', { owned: [owned('a', 'near', { epoch: 2 }), owned('b', '@b')] });
  const far = node('far', {
    hosted: [hosted('a', 'near', 1), hosted('b', '@b', 0), hosted('c', 'gone'), hosted('d', '@d')],
  });
  const silent = [{ nodeId: 'gone', nodeName: 'attic', reason: 'it did not answer in time' }];
  const actors = listActors({ nodes: [near, far], silent });
  t.deepEqual(
    actors.map(({ name, epoch, status, owner }) => `${name}${epoch} ${status} ${owner}`),
    [
      'a1 outdated name of near',
      'a2 running name of near',
      'b0 outdated @b',
      'b1 running name of near',
      'c1 running attic',
      'd1 running @d',
    ],
  );
});

test('a node that is gone goes by the name that the owner knew it by', (t) => {
  const near = node('near', { owned: [owned('a', 'near', { nodeName: 'attic' })] });
  t.like(listActors({ nodes: [near], silent: [] })[0], { node: 'attic', nodeId: 'far' });
});

test('a dead actor has its cause and no figures', (t) => {
  const cause = { kind: 'exit', message: 'it exited', lastOutput: ['last words'] } as const;
  const dead = owned('a', 'near', { status: 'dead', node: 'lost', cause });
  const near = node('near', { owned: [dead] });
  const far = node('far', { hosted: [hosted('a', 'near')] });
  const actors = listActors({ nodes: [near, far], silent: [] });
  t.like(actors[0], { status: 'dead', cause: 'it exited', node: 'lost', sinceMs: 7 });
  t.deepEqual(actors[0]!.lastOutput, ['last words']);
  t.is(actors[0]!.done, undefined);
});
