import { isLoopback } from '../../loopback.ts';
import {
  type NatsOptions,
  type NatsServerFacts,
  readNatsServerFacts,
} from '../../runtime/index.ts';
import { describeError } from '../output/error-text.ts';
import { formatBytes } from '../output/quantity.ts';
import { describeServers } from '../server/nats-address.ts';
import type { Check } from './doctor.ts';

const payloadBytesWanted = 1 << 20;
/** Below it a frame of the protocol does not fit. */
const payloadBytesMin = 64 << 10;
const versionWanted = [2, 11] as const;
const monitorPort = 8222;

/**
 * Looks for settings of a nats-server that can lose data or hinder jobs. `missing` is what jobs run with all the
 * same, `failed` what they don't.
 */
export async function checkNats(
  options: NatsOptions,
  monitor: string | undefined,
): Promise<readonly Check[]> {
  const name = 'nats-server';
  let facts: NatsServerFacts;
  try {
    facts = await readNatsServerFacts(options, monitor ?? defaultMonitor(options));
  } catch (error) {
    const advice =
      'Start a server (actorctl up, or nats-server -js), or correct the address and the credentials.';
    return [{ name, status: 'failed', detail: describeError(error), advice }];
  }
  return judgeNatsServer(facts, options);
}

export function judgeNatsServer(facts: NatsServerFacts, options: NatsOptions): readonly Check[] {
  const detail = `${describeServers(options)}, version ${facts.version}`;
  return [
    checkVersion(facts, { name: 'nats-server', status: 'ok', detail }),
    checkPayload(facts),
    checkJetStream(facts),
    ...(facts.jetStream ? [checkSync(facts)] : []),
    ...(facts.jetStream && facts.cluster !== undefined ? [checkReplicas(facts)] : []),
    ...(facts.serversAway === undefined ? [] : [checkServers(facts.serversAway)]),
    checkAccess(facts, options),
  ];
}

function checkVersion({ version }: NatsServerFacts, fine: Check): Check {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorWanted, minorWanted] = versionWanted;
  if (major > majorWanted || (major === majorWanted && minor >= minorWanted)) return fine;
  const advice = `Older than ${versionWanted.join('.')}, keys do not expire; install a newer one.`;
  return { ...fine, status: 'missing', advice };
}

function checkPayload({ payloadBytesMax }: NatsServerFacts): Check {
  const name = 'nats messages';
  const detail = `up to ${formatBytes(payloadBytesMax)}`;
  if (payloadBytesMax >= payloadBytesWanted) return { name, status: 'ok', detail };
  const advice = `Large values travel slowly: set max_payload: ${formatBytes(payloadBytesWanted)}.`;
  return { name, status: payloadBytesMax < payloadBytesMin ? 'failed' : 'missing', detail, advice };
}

function checkJetStream({ jetStream }: NatsServerFacts): Check {
  const name = 'nats JetStream';
  if (jetStream) return { name, status: 'ok', detail: 'enabled' };
  return {
    name,
    status: 'failed',
    detail: 'off, or without a leader',
    advice:
      'Names and owners are kept there: start the server with -js; a cluster needs most servers.',
  };
}

function checkSync({ syncsAlways }: NatsServerFacts): Check {
  const name = 'nats syncing';
  if (syncsAlways === true) return { name, status: 'ok', detail: 'what is confirmed is on disk' };
  const setting = 'jetstream { sync_interval: always }';
  if (syncsAlways === false) {
    return {
      name,
      status: 'missing',
      detail: 'a power failure loses what was confirmed lately (two minutes by default)',
      advice: `Set ${setting}.`,
    };
  }
  return {
    name,
    status: 'missing',
    detail: 'not to be seen from here',
    advice: `Look for ${setting}, or give the server's monitor by --nats-monitor http://host:8222.`,
  };
}

function checkReplicas({ replicas, cluster }: NatsServerFacts): Check {
  const name = 'nats replicas';
  if (replicas === undefined || replicas > 1) {
    const detail = replicas === undefined ? 'nothing is stored yet' : `${replicas} in ${cluster}`;
    return { name, status: 'ok', detail };
  }
  return {
    name,
    status: 'missing',
    detail: `one server of ${cluster} alone has names and owners`,
    advice: 'With three servers the next job that starts makes three replicas.',
  };
}

function checkServers(away: readonly string[]): Check {
  const name = 'nats servers';
  if (away.length === 0) return { name, status: 'ok', detail: 'all are there' };
  return {
    name,
    status: 'missing',
    detail: `away: ${away.join(', ')}`,
    advice:
      'They count for the majority: start them (actorctl up), or, where one is lost for good, on another ' +
      'machine of the cluster: actorctl server remove NAME.',
  };
}

function checkAccess({ authRequired, encrypted }: NatsServerFacts, options: NatsOptions): Check {
  const name = 'nats access';
  const hosts = listHosts(options);
  const detail = `${authRequired ? 'with' : 'without'} credentials, ${encrypted ? 'encrypted' : 'in the clear'}`;
  if ((authRequired && encrypted) || hosts.every(isLoopback)) return { name, status: 'ok', detail };
  const advice = authRequired
    ? 'Passwords and data can be read on the way: give the server a certificate (tls).'
    : 'Whoever reaches the server can start actors on every node: set authorization and tls, or use actorctl up.';
  return { name, status: authRequired ? 'missing' : 'failed', detail, advice };
}

function defaultMonitor(options: NatsOptions): string {
  const [host = 'localhost'] = listHosts(options);
  return `http://${host.includes(':') ? `[${host}]` : host}:${monitorPort}`;
}

function listHosts(options: NatsOptions): readonly string[] {
  const urls = describeServers(options).split(',');
  return urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''));
}
