import { type AnyActorDefinition, isActorDefinition } from './actor.ts';
import type { NatsOptions, NatsTlsOptions } from './bus/nats-options.ts';
import type { Clock } from './clock.ts';
import type { BusChoice, ConnectedBus } from './connection.ts';
import type { CheckpointStore } from './nodes/checkpoint-store.ts';
import type { LogEntry } from './nodes/host-node.ts';
import type { NodeLife } from './nodes/registration.ts';
import type { ObjectLimits } from './objects/object-limits.ts';
import type { ActorCalls } from './observe/actor-calls.ts';
import {
  callback,
  checkGiven,
  fields,
  isFields,
  labels,
  list,
  type OptionSchemas,
  optional,
  string,
  strings,
  such,
  text,
  timeout,
  whole,
} from './option-check.ts';
import type { Random } from './simulation/random.ts';
import { checkResources, type Resources } from './wire/resources.ts';

export interface SystemOptions {
  /**
   * `memory`: this process only, actors inline. `local`: this host, actors in child processes, no
   * server. `nats`: every host that joins the namespace. `connected`: for tests and simulations.
   */
  readonly bus: BusChoice;
  /** Systems of one namespace see each other's nodes and share actor names. Default `default`. */
  readonly namespace?: string;
  /**
   * Put before the names of this system's actors, as `SCOPE/NAME`, so that systems of different scopes
   * can use the same names in one namespace. Default none; a submitted job's is its id.
   */
  readonly scope?: string;
  /** Default: the host's name. */
  readonly nodeName?: string;
  /** Unique; default random. */
  readonly nodeId?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** What actors may reserve here; default: all processors and all memory, nothing else. */
  readonly resources?: Resources;
  /** URLs of the modules whose actors may be instantiated on this node, by other owners too. */
  readonly modules?: readonly string[];
  /**
   * Variables of processes that other hosts may set for their actors on this node, besides `ACTOR_…`. Some
   * make a process load code.
   */
  readonly allowEnvironment?: readonly string[];
  /** Actor types that may be instantiated on this node beside those of `modules`. */
  readonly actors?: readonly AnyActorDefinition[];
  /** Default: in memory, so that states outlive actors but not this process. */
  readonly checkpoints?: CheckpointStore;
  readonly clock?: Clock;
  /** Draws what has to be unique; default the platform's own source. For simulations. */
  readonly random?: Random;
  readonly log?: (entry: LogEntry) => void;
  /** When calls of own actors ran, about a second later. Given, it makes each call cost a little more. */
  readonly onCalls?: (calls: ActorCalls) => void;
  /** What objects that were put here may take of memory and disk. */
  readonly objects?: ObjectLimits;
  /** The actor's life that the system is part of: a later one may take its names at once. */
  readonly life?: NodeLife;
  /** Processes kept ready after the first was needed. Default 1. */
  readonly warmProcesses?: number;
}

const busWords: readonly unknown[] = ['memory', 'local'];
const isBus = (bus: unknown): boolean =>
  busWords.includes(bus) || (isFields(bus) && ('nats' in bus || 'connected' in bus));
const isDefinition = (value: unknown): boolean => isFields(value) && isActorDefinition(value);

const schemas = {
  bus: such(
    isBus,
    "'memory', 'local', { nats: { servers, timeoutMs } } or, in tests, { connected: bus }",
  ),
  namespace: optional(text(1, 128)),
  scope: optional(string),
  nodeName: optional(string),
  nodeId: optional(text(1, 128)),
  labels: optional(labels),
  resources: optional(fields('an object of cpu, gpu, memoryBytes, custom')),
  modules: optional(strings),
  allowEnvironment: optional(strings),
  actors: optional(
    list(such(isDefinition, 'what defineActor returns'), 'a list of what defineActor returns'),
  ),
  checkpoints: optional(fields('a CheckpointStore')),
  clock: optional(fields('a Clock')),
  random: optional(fields('a Random')),
  log: optional(callback),
  onCalls: optional(callback),
  objects: optional(fields('an object of memoryBytesMax, diskBytesMax, spillFolder')),
  life: optional(fields('a NodeLife')),
  warmProcesses: optional(whole(0, 1_000)),
} satisfies OptionSchemas & Record<keyof SystemOptions, unknown>;

const bytes = whole(0, Number.MAX_SAFE_INTEGER);

const natsSchemas = {
  servers: such(
    (servers) => typeof servers === 'string' || (Array.isArray(servers) && servers.every(isString)),
    "'nats://host:port' or a list of such",
  ),
  token: optional(string),
  user: optional(string),
  password: optional(string),
  credsFile: optional(string),
  nkeySeed: optional(string),
  tls: optional(fields('an object of ca, caFile, certFile, keyFile, serverName')),
  timeoutMs: timeout,
  valueBytesMax: optional(bytes),
  inboxPrefix: optional(string),
  name: optional(string),
} satisfies OptionSchemas & Record<keyof NatsOptions, unknown>;

const tlsSchemas = {
  ca: optional(string),
  caFile: optional(string),
  certFile: optional(string),
  keyFile: optional(string),
  serverName: optional(string),
} satisfies OptionSchemas & Record<keyof NatsTlsOptions, unknown>;

const connectedSchemas = {
  connected: fields('a Bus'),
  startProcess: optional(callback),
  register: optional(fields('a Register')),
  replicated: optional(fields('a ReplicatedCheckpoints')),
  watchedNodesMax: optional(whole(1, 4_096)),
} satisfies OptionSchemas & Record<keyof ConnectedBus, unknown>;

const objectSchemas = {
  memoryBytesMax: optional(bytes),
  diskBytesMax: optional(bytes),
  spillFolder: optional(string),
} satisfies OptionSchemas & Record<keyof ObjectLimits, unknown>;

/** @throws TypeError or RangeError that names the option. */
export function checkSystemOptions(options: SystemOptions): void {
  checkGiven('system option', schemas, options);
  const { bus, resources, objects } = options;
  if (typeof bus === 'object') checkBus(bus);
  if (resources !== undefined) checkResources(resources);
  if (objects !== undefined) checkGiven('objects option', objectSchemas, objects);
}

function checkBus(bus: Exclude<BusChoice, string>): void {
  if ('connected' in bus) {
    checkGiven('connected bus option', connectedSchemas, bus);
    return;
  }
  checkGiven('bus option', { nats: fields('an object of servers, timeoutMs and others') }, bus);
  checkGiven('nats option', natsSchemas, bus.nats);
  if (bus.nats.tls !== undefined) checkGiven('tls option', tlsSchemas, bus.nats.tls);
}

function isString(value: unknown): boolean {
  return typeof value === 'string';
}
