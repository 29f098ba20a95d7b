import test from 'ava';
import { createMemoryNetwork } from '../../../runtime/bus/memory-bus.ts';
import { serveControl } from '../../../runtime/calls/control.ts';
import type { Link } from '../../../runtime/calls/endpoint.ts';
import { Membership } from '../../../runtime/nodes/membership.ts';
import { subjects } from '../../../runtime/wire/address.ts';
import { decodeFrame, encodeFrame } from '../../../runtime/wire/frame.ts';
import { createManualClock, type ManualClock } from '../../support/manual-clock.ts';

interface Member {
  readonly membership: Membership;
  readonly joined: string[];
  readonly lost: string[];
  readonly returned: string[];
  readonly refused: string[];
  readonly overdue: string[];
  readonly related: Set<string>;
  readonly link: { -readonly [Key in keyof Link]: Link[Key] };
}

function createMembers(clock: ManualClock, watchedNodesMax = 100) {
  const network = createMemoryNetwork();
  const join = (nodeId: string): Member => {
    const [joined, lost, returned, refused]: string[][] = [[], [], [], []];
    const overdue: string[] = [];
    const link = { connected: true, connectedSince: 0, usable: true, close: () => {} };
    const bus = network.connect();
    const endpoint = { bus, clock, namespace: 'test', nodeId, link };
    const resources = { cpu: 1, memoryBytes: 1 };
    const described = { nodeId, nodeName: `name-${nodeId}`, pid: 1, labels: {}, resources };
    const related = new Set<string>();
    const membership = new Membership({
      endpoint,
      shared: true,
      watchedNodesMax,
      describe: () => ({
        ...described,
        free: resources,
        actorTypes: [],
        actors: 0,
        draining: false,
      }),
      related: () => related,
      onJoined: (node) => joined!.push(node.nodeId),
      onLost: (node, why, how) => lost!.push(`${how}: ${node.nodeId} ${why}`),
      onOverdue: (id) => overdue.push(id),
      onReturned: (id) => returned!.push(id),
      onRefused: (why) => refused!.push(why),
    });
    serveControl(bus, subjects.node('test', nodeId), (message) => {
      if (message.kind === 'heartbeat') membership.greet(message);
      return undefined;
    });
    const heard = { joined: joined!, lost: lost!, returned: returned!, refused: refused! };
    return { membership, ...heard, overdue, link, related };
  };
  return { network, join };
}

const names = ({ membership }: Member): readonly string[] =>
  membership.nodes().map(({ nodeId }) => nodeId);

test('nodes that join see each other at once', async (t) => {
  const clock = createManualClock();
  const { join } = createMembers(clock);
  const [a, b] = [join('a'), join('b')];
  await clock.advance(0);
  t.deepEqual(names(a), ['a', 'b']);
  t.deepEqual(names(b), ['b', 'a']);
  t.deepEqual([a.joined, b.joined], [['b'], ['a']]);
});

test('a node silent for five seconds is lost, and found again when it speaks', async (t) => {
  const clock = createManualClock();
  const { join } = createMembers(clock);
  const [a, b] = [join('a'), join('b')];
  await clock.advance(3_000);
  b.link.connected = false;
  await clock.advance(4_000);
  t.deepEqual(a.lost, []);
  await clock.advance(2_000);
  t.deepEqual(a.lost, ['lost: b was silent for 5 s']);
  b.link.connected = true;
  await clock.advance(1_000);
  t.deepEqual(names(a), ['a', 'b']);
  t.deepEqual(a.returned, ['b']);
});

test('a heartbeat that is missing is told of long before the node is lost', async (t) => {
  const clock = createManualClock();
  const { join } = createMembers(clock);
  const [a, b] = [join('a'), join('b')];
  await clock.advance(3_000);
  t.deepEqual(a.overdue, []);
  b.link.connected = false;
  await clock.advance(1_500);
  t.deepEqual([a.overdue, a.lost], [['b'], []]);
  t.true(a.membership.isSilent('b'));
  b.link.connected = true;
  await clock.advance(1_000);
  t.false(a.membership.isSilent('b'));
});

test('silence does not count while our own bus was away, nor for a while after', async (t) => {
  const clock = createManualClock();
  const { join } = createMembers(clock);
  const [a, b] = [join('a'), join('b')];
  await clock.advance(2_000);
  b.link.connected = false;
  a.link.connected = false;
  await clock.advance(20_000);
  a.link.connected = true;
  a.link.connectedSince = clock.now();
  await clock.advance(9_000);
  t.deepEqual(a.lost, []);
  await clock.advance(3_000);
  t.is(a.lost.length, 1, 'but not for ever');
});

test('a node that leaves is gone at once', async (t) => {
  const clock = createManualClock();
  const { join } = createMembers(clock);
  const [a, b] = [join('a'), join('b')];
  await clock.advance(1_000);
  b.membership.close();
  await clock.advance(0);
  t.deepEqual(a.lost, ['left: b left']);
});

test('a node of another protocol version is refused by name', async (t) => {
  const clock = createManualClock();
  const { join, network } = createMembers(clock);
  const a = join('a');
  const stranger = { kind: 'heartbeat', protocol: 99, nodeId: 'x', nodeName: 'old-box', more: 1 };
  const subject = subjects.heartbeat('test', 'x');
  for (let beat = 0; beat < 2; beat += 1) network.connect().publish(subject, encodeFrame(stranger));
  await clock.advance(0);
  t.deepEqual(names(a), ['a']);
  t.is(a.refused.length, 1, 'told once, not every second');
  t.regex(a.membership.refusals.join(), /old-box \(x\) speaks protocol version 99, this one \d/);
});

test('waiting for nodes resolves with them, or names those that came', async (t) => {
  const clock = createManualClock();
  const { join } = createMembers(clock);
  const a = join('a');
  const two = a.membership.waitFor(2, { timeoutMs: 5_000 });
  const three = a.membership.waitFor(3, { timeoutMs: 5_000 });
  three.catch(() => {});
  join('b');
  await clock.advance(0);
  t.is((await two).length, 2);
  await clock.advance(6_000);
  await t.throwsAsync(three, { code: 'DEADLINE', message: /there are 2: name-a, name-b/ });
});

test('many nodes tell rarely, and are lost later, but not by those that have business with them', async (t) => {
  const clock = createManualClock();
  const { join, network } = createMembers(clock, 200);
  const members = Array.from({ length: 131 }, (_, index) => join(`n${index}`));
  await clock.advance(0);
  t.true(members.every((member) => names(member).length === 131));
  let heartbeats = 0;
  let heard = '';
  network.connect().subscribe(subjects.heartbeatsNear('test', '', 0), ({ data }) => {
    heartbeats += 1;
    heard += ` ${(decodeFrame(data) as { nodeId: string }).nodeId} `;
  });
  await clock.advance(6_000);
  t.true(heartbeats >= 200 && heartbeats <= 400, `${heartbeats} in 6 s, not 50 a second`);
  const [near, far, silent] = members as [Member, Member, Member];
  near.related.add('n2');
  heard = '';
  while (!heard.includes(' n2 ')) await clock.advance(10);
  silent.link.connected = false;
  for (let ticks = 0; ticks < 80 && near.lost.length === 0; ticks += 1) {
    await clock.advance(100);
  }
  t.is(near.lost.length, 1);
  t.deepEqual(far.lost, []);
  await clock.advance(4_000);
  t.is(far.lost.length, 1);
});

test('of very many nodes each watches a part, and each is watched', async (t) => {
  const clock = createManualClock();
  const { join } = createMembers(clock, 30);
  const members = Array.from({ length: 200 }, (_, index) => join(`n${index}`));
  await clock.advance(15_000);
  const watchers = new Map<string, number>();
  for (const member of members) {
    const known = names(member);
    t.true(known.length <= 31, `${known[0]} knows ${known.length}`);
    for (const id of known.slice(1)) watchers.set(id, (watchers.get(id) ?? 0) + 1);
  }
  t.is(watchers.size, 200);
  t.true(Math.min(...watchers.values()) >= 6, `only ${Math.min(...watchers.values())} watch one`);
  t.deepEqual(
    members.flatMap(({ lost }) => lost),
    [],
  );

  const [asking] = members as [Member];
  const all = asking.membership.waitFor(200, { timeoutMs: 1_000 });
  await clock.advance(500);
  t.is((await all).length, 200, 'a roll call');
  await clock.advance(12_000);
  t.true(names(asking).length <= 31, 'which is forgotten');
});

test('a node outside of the group is watched while there is business with it', async (t) => {
  const clock = createManualClock();
  const { join } = createMembers(clock, 30);
  const members = Array.from({ length: 100 }, (_, index) => join(`n${index}`));
  await clock.advance(10_000);
  const [near] = members as [Member];
  const watched = new Set(names(near));
  const [far, other] = members.filter((_, index) => !watched.has(`n${index}`)) as [Member, Member];
  const [farId, otherId] = [names(far)[0]!, names(other)[0]!];
  near.related.add(farId);
  near.related.add('nobody');
  near.membership.hear(otherId);
  await clock.advance(2_500);
  t.true(near.membership.isAlive(farId) && near.membership.isAlive(otherId));
  await clock.advance(4_000);
  t.deepEqual(near.lost, ['lost: nobody was never heard']);
  far.link.connected = false;
  other.link.connected = false;
  await clock.advance(7_000);
  t.deepEqual(near.lost.slice(1), [`lost: ${farId} was silent for 5 s`]);
  await clock.advance(15_000);
  t.deepEqual(near.lost.length, 2, 'one that was only met is forgotten');
  t.false(near.membership.isAlive(otherId));
});
