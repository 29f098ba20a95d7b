import { readFile } from 'node:fs/promises';
import type { Subscription } from '../bus/bus.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import { subjects } from '../wire/address.ts';
import type { HostedFacts } from './inspection.ts';
import type { Inspector } from './inspector.ts';

const SERVICE_NAME = 'codistill-node';
/** Actors that are listed: an answer has to fit into one message of a server with default limits. */
const ENDPOINTS_MAX = 1_000;
const NANOSECONDS_PER_MS = 1e6;

const verbs = ['PING', 'INFO', 'STATS'] as const;

/**
 * Shows a node to the tools of NATS: `nats micro ls`, `info` and `stats` find it as an instance of
 * `codistill-node`, with an endpoint for each actor that lives on it. The protocol is that of
 * services in NATS (ADR-32): JSON answers to requests below `$SRV`.
 */
export class MicroService {
  readonly #endpoint: Endpoint;
  readonly #inspector: Inspector;
  readonly #serving: readonly Subscription[];
  #version: Promise<string> | undefined;

  constructor(endpoint: Endpoint, inspector: Inspector) {
    this.#endpoint = endpoint;
    this.#inspector = inspector;
    const { bus, nodeId } = endpoint;
    this.#serving = verbs.flatMap((verb) =>
      ['', `.${SERVICE_NAME}`, `.${SERVICE_NAME}.${nodeId}`].map((scope) =>
        bus.subscribe(`$SRV.${verb}${scope}`, ({ replySubject }) => {
          // Who asks while this node closes hears nothing, as if it were closed already.
          if (replySubject !== undefined) this.#reply(verb, replySubject).catch(() => {});
        }),
      ),
    );
  }

  close(): void {
    for (const subscription of this.#serving) subscription.unsubscribe();
  }

  async #reply(verb: (typeof verbs)[number], replySubject: string): Promise<void> {
    const { bus, link } = this.#endpoint;
    const answer = {
      ...(await this.#identify()),
      type: `io.nats.micro.v1.${verb.toLowerCase()}_response`,
      ...(verb === 'INFO' && (await this.#inform())),
      ...(verb === 'STATS' && (await this.#count())),
    };
    if (link.usable) bus.publish(replySubject, new TextEncoder().encode(JSON.stringify(answer)));
  }

  async #identify() {
    const { namespace, nodeId } = this.#endpoint;
    const { nodeName, pid, protocol, labels } = this.#inspector.describe();
    this.#version ??= readVersion();
    return {
      name: SERVICE_NAME,
      id: nodeId,
      version: await this.#version,
      metadata: { ...labels, namespace, node: nodeName, pid: `${pid}`, protocol: `${protocol}` },
    };
  }

  async #inform() {
    const { namespace } = this.#endpoint;
    const { nodeName, hosted } = await this.#inspector.inspect(0);
    return {
      description: `Node ${nodeName} of namespace ${namespace}: a host process that takes actors`,
      endpoints: hosted.slice(0, ENDPOINTS_MAX).map((actor) => ({
        ...describeEndpoint(namespace, actor),
        metadata: { actor: actor.name, type: actor.type, owner: actor.owner },
      })),
    };
  }

  async #count() {
    const { namespace } = this.#endpoint;
    const { uptimeMs, hosted } = await this.#inspector.inspect(0);
    return {
      started: new Date(Date.now() - uptimeMs).toISOString(),
      endpoints: hosted.slice(0, ENDPOINTS_MAX).map((actor) => ({
        ...describeEndpoint(namespace, actor),
        ...countCalls(actor),
      })),
    };
  }
}

function describeEndpoint(namespace: string, { name }: HostedFacts) {
  return {
    // Tools take these characters only.
    name: name.replaceAll(/[^\w-]/g, '_'),
    subject: subjects.actor(namespace, name),
    queue_group: '',
  };
}

/** Times are in nanoseconds. */
function countCalls({ epoch, figures }: HostedFacts) {
  const { done = 0, failed = 0, ranMs = 0, waiting = 0, rssBytes } = figures ?? {};
  const requests = done + failed;
  return {
    num_requests: requests,
    num_errors: failed,
    last_error: '',
    processing_time: Math.round(ranMs * NANOSECONDS_PER_MS),
    average_processing_time: Math.round((ranMs * NANOSECONDS_PER_MS) / Math.max(1, requests)),
    data: { epoch, waiting, ...(rssBytes !== undefined && { rssBytes }) },
  };
}

/** Of this package; a service's version must be a semantic one. */
async function readVersion(): Promise<string> {
  const manifest = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}
