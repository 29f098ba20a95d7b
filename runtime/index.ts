/** Actors over a bus: in one process, in the processes of one host, or on many hosts over NATS. */
export type { DeathCause } from '../errors.ts';
export {
  type ActorContext,
  type ActorDefinition,
  type ActorLifecycle,
  type CallContext,
  defineActor,
  type MethodDeclaration,
  type MethodKind,
  type MethodKinds,
} from './actor.ts';
export type {
  Bus,
  BusKind,
  BusMessage,
  BusStatus,
  PublishOptions,
  RequestOptions,
  SubscribeOptions,
  Subscription,
} from './bus/bus.ts';
export { connectNatsBus } from './bus/connect-nats.ts';
export { connectLocalBus } from './bus/local-bus.ts';
export { type LocalHub, startLocalHub } from './bus/local-hub.ts';
export { createMemoryBus, createMemoryNetwork, type MemoryNetwork } from './bus/memory-bus.ts';
export type { NatsOptions, NatsTlsOptions } from './bus/nats-options.ts';
export {
  listNatsServers,
  type NatsServerFacts,
  readNatsServerFacts,
} from './bus/nats-server-facts.ts';
export type { LinkFaults } from './bus/simulated-bus.ts';
export { CALL_DURATIONS_MS } from './calls/call-counters.ts';
export type { CallOptions } from './calls/call-options.ts';
export {
  type ActorAddress,
  type Handle,
  type OwnedHandle,
  type RemoteStream,
  withCallOptions,
} from './calls/handle.ts';
export type { Reminder, ReminderOptions, Reminders } from './calls/reminders.ts';
export type { ErrorClass, RetryPolicy } from './calls/retry.ts';
export { type ActorChange, type ActorWatch, watch } from './calls/watch.ts';
export { type Clock, type ClockTimer, delay, systemClock } from './clock.ts';
export {
  defineJob,
  isJob,
  type Job,
  type JobContext,
  type JobEvent,
  type JobExplanation,
  type JobOptionsSchema,
  type OptionProblem,
} from './job.ts';
export { type JobClient, openJobClient } from './jobs/job-client.ts';
export { jobController, jobLabel } from './jobs/job-controller.ts';
export type { LoggedEvent } from './jobs/job-log.ts';
export type { JobRecord, JobState } from './jobs/job-record.ts';
export type { ActorEvent } from './nodes/actor-lives.ts';
export {
  type CheckpointStore,
  createFileCheckpointStore,
  createMemoryCheckpointStore,
  type FileCheckpointStoreOptions,
} from './nodes/checkpoint-store.ts';
export type { LogEntry } from './nodes/host-node.ts';
export {
  describeLabels,
  type NodeInfo,
  type PlacementRules,
  type PlacementStrategy,
} from './nodes/placement.ts';
export type { SpawnOptions } from './nodes/spawn-options.ts';
export type { ObjectLimits } from './objects/object-limits.ts';
export type { ObjectRef } from './objects/object-ref.ts';
export type { ObjectFacts } from './objects/object-store.ts';
export type { ObjectOptions } from './objects/object-table.ts';
export type { ActorCalls } from './observe/actor-calls.ts';
export { type ActorOverview, listActors } from './observe/actor-overview.ts';
export type {
  ActorFigures,
  HostedFacts,
  InspectedObject,
  NodeInspection,
  OwnedFacts,
  PastEvent,
} from './observe/inspection.ts';
export {
  type MetricsOptions,
  type MetricsServer,
  startMetricsServer,
} from './observe/metrics-server.ts';
export {
  createObserver,
  type Inspection,
  type InspectOptions,
  type Observer,
  type SilentNode,
} from './observe/observer.ts';
export { ActorPool, type ActorPoolOptions, type MapOptions } from './patterns/actor-pool.ts';
export {
  createQueue,
  OwnedQueue,
  Queue,
  type QueueActor,
  type QueueCallOptions,
  type QueueOptions,
  type Taken,
} from './patterns/queue.ts';
export { type Waited, type WaitOptions, wait } from './patterns/wait.ts';
export type { ReplicaState } from './registry/jetstream.ts';
export { openNatsRegister, replicateStreams } from './registry/open-register.ts';
export type { Register } from './registry/register.ts';
export { createRandom, type Random } from './simulation/random.ts';
export type { ClockSkew } from './simulation/simulated-clock.ts';
export type { SimulatedHost, SimulatedHostOptions } from './simulation/simulated-host.ts';
export {
  createSimulation,
  type PartitionOptions,
  type RunOptions,
  type Simulation,
  type SimulationOptions,
} from './simulation/simulation.ts';
export type { StandardSchemaV1 } from './standard-schema.ts';
export { createSystem, type System } from './system.ts';
export type { SystemOptions } from './system-options.ts';
export { fetchChunks } from './wire/chunk-fetch.ts';
export { type ChunkOffer, type ChunkReference, offerChunks } from './wire/chunks.ts';
export { decodeFrame, encodeFrame } from './wire/frame.ts';
export type { Resources } from './wire/resources.ts';
export type { RuntimeEvent } from './wire/runtime-event.ts';
export { PROTOCOL_VERSION } from './wire/wire.ts';
