import type { Metric, Registry } from 'prom-client';
import { CALL_DURATIONS_MS } from '../calls/call-counters.ts';
import type { ActorFigures, NodeInspection, OwnedFacts } from './inspection.ts';

type MetricType = 'counter' | 'gauge' | 'histogram';

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Where one metric has several series, as a histogram has. */
  readonly metricName?: string;
}

/** One metric read off an inspection. */
interface InspectionMetric {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  read(node: NodeInspection): readonly Sample[];
}

/**
 * Registers the metrics of a node and the actors that live on it. They are read off what `latest`
 * returns when the registry is asked: counting costs nothing beyond what actors count anyway.
 */
export function registerNodeMetrics(registry: Registry, latest: () => NodeInspection): void {
  for (const { name, help, type, read } of metrics) {
    const aggregator = 'sum';
    const get = async () => ({ name, help, type, aggregator, values: read(latest()) });
    // The registry asks nothing of a metric but its name and `get`.
    registry.registerMetric({ name, get } as unknown as Metric);
  }
}

const metrics: readonly InspectionMetric[] = [
  gauge('codistill_node_actors', 'Actors that live on this node.', ({ hosted }) => [
    { labels: {}, value: hosted.length },
  ]),
  gauge('codistill_node_peers', 'Other nodes that this node knows.', ({ peers }) => [
    { labels: {}, value: peers.length },
  ]),
  gauge('codistill_node_uptime_seconds', 'Since the node started.', ({ uptimeMs }) => [
    { labels: {}, value: uptimeMs / 1000 },
  ]),
  gauge('codistill_object_memory_bytes', 'Memory of the objects on this node.', (node) => [
    { labels: {}, value: node.objectMemoryBytes },
  ]),
  gauge('codistill_owned_actors', 'Actors that this node owns, by status.', ({ owned }) =>
    (['running', 'restarting', 'dead'] as const).map((status) => ({
      labels: { status },
      value: owned.filter((actor) => actor.status === status).length,
    })),
  ),
  {
    name: 'codistill_actor_restarts_total',
    help: 'Restarts of an actor that this node owns.',
    type: 'counter',
    read: ({ owned }) => owned.map((actor) => ({ labels: labelsOf(actor), value: actor.restarts })),
  },
  {
    name: 'codistill_actor_calls_total',
    help: 'Calls that an actor answered, with a result (done) or an error (failed).',
    type: 'counter',
    read: perActor(({ done, failed }, labels) => [
      { labels: { ...labels, outcome: 'done' }, value: done },
      { labels: { ...labels, outcome: 'failed' }, value: failed },
    ]),
  },
  {
    name: 'codistill_actor_call_duration_seconds',
    help: 'How long methods ran, from their begin to their answer.',
    type: 'histogram',
    read: perActor(readDurations),
  },
  counterOf('codistill_actor_received_bytes_total', 'Of messages to an actor.', 'receivedBytes'),
  counterOf('codistill_actor_sent_bytes_total', 'Of answers of an actor.', 'sentBytes'),
  {
    name: 'codistill_actor_cpu_seconds_total',
    help: "Processor time of an actor's process.",
    type: 'counter',
    read: perActor(({ cpuMs }, labels) =>
      cpuMs === undefined ? [] : [{ labels, value: cpuMs / 1000 }],
    ),
  },
  gaugeOf('codistill_actor_mailbox_waiting', 'Calls that wait for an actor.', 'waiting'),
  gaugeOf(
    'codistill_actor_resident_memory_bytes',
    "Resident memory of an actor's process.",
    'rssBytes',
  ),
];

function gauge(name: string, help: string, read: InspectionMetric['read']): InspectionMetric {
  return { name, help, type: 'gauge', read };
}

type NumberKey = 'receivedBytes' | 'sentBytes' | 'waiting' | 'rssBytes';

function counterOf(name: string, help: string, key: NumberKey): InspectionMetric {
  return { ...gaugeOf(name, help, key), type: 'counter' };
}

function gaugeOf(name: string, help: string, key: NumberKey): InspectionMetric {
  return gauge(
    name,
    help,
    perActor((figures, labels) => {
      const value = figures[key];
      return value === undefined ? [] : [{ labels, value }];
    }),
  );
}

function perActor(
  read: (figures: ActorFigures, labels: Sample['labels']) => readonly Sample[],
): InspectionMetric['read'] {
  return ({ hosted }) =>
    hosted.flatMap((actor) => (actor.figures ? read(actor.figures, labelsOf(actor)) : []));
}

/** Prometheus counts cumulatively: each class has all calls that took no longer. */
function readDurations(
  { durations, ranMs }: ActorFigures,
  labels: Sample['labels'],
): readonly Sample[] {
  const name = 'codistill_actor_call_duration_seconds';
  let count = 0;
  const buckets = durations.map((calls, index) => {
    count += calls;
    const bound = CALL_DURATIONS_MS[index];
    const le = bound === undefined ? '+Inf' : String(bound / 1000);
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: count };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: ranMs / 1000 },
    { metricName: `${name}_count`, labels, value: count },
  ];
}

function labelsOf({ name, type }: Pick<OwnedFacts, 'name' | 'type'>): Sample['labels'] {
  return { actor: name, actor_type: type };
}
