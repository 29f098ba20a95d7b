/** Actors over a bus: in one process, in the processes of one host, or on many hosts over NATS. */
export type { DeathCause } from '../errors.ts';
export {
  type ActorContext,
  type ActorDefinition,
  type ActorLifecycle,
  type CallContext,
  defineActor,
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
} from './bus.ts';
export {
  type CheckpointStore,
  createFileCheckpointStore,
  createMemoryCheckpointStore,
  type FileCheckpointStoreOptions,
} from './checkpoint-store.ts';
export { type ChunkOffer, type ChunkReference, fetchChunks, offerChunks } from './chunks.ts';
export { type Clock, type ClockTimer, delay, systemClock } from './clock.ts';
export { connectNatsBus } from './connect-nats.ts';
export { decodeFrame, encodeFrame } from './frame.ts';
export { type ActorAddress, type CallOptions, type Handle, withCallOptions } from './handle.ts';
export type { LogEntry } from './host-node.ts';
export {
  defineJob,
  isJob,
  type Job,
  type JobContext,
  type JobEvent,
  type JobOptionsSchema,
} from './job.ts';
export { connectLocalBus } from './local-bus.ts';
export { type LocalHub, startLocalHub } from './local-hub.ts';
export { createMemoryBus, createMemoryNetwork, type MemoryNetwork } from './memory-bus.ts';
export type { NatsOptions, NatsTlsOptions } from './nats-options.ts';
export type { NodeInfo } from './placement.ts';
export type { SpawnOptions } from './spawn-options.ts';
export type { ActorEvent } from './supervisor.ts';
export { createSystem, type System, type SystemOptions } from './system.ts';
export { PROTOCOL_VERSION, type Resources } from './wire.ts';
