import { crc32 } from 'node:zlib';
import * as v from 'valibot';
import type { ActorAddress } from '../calls/handle.ts';

/** Where everything of a Codistill system listens: the one place that spells subjects. */
export const subjects = {
  /** Messages to the living incarnation of an actor. */
  actor: (namespace: string, name: string): string =>
    `codistill.${encodeToken(namespace)}.actor.${encodeToken(name)}`,
  /** The owner's announcements about an actor: running, restarting, dead. */
  actorState: (namespace: string, name: string): string =>
    `${subjects.actor(namespace, name)}.state`,
  /** Questions to any node, about who has a name, and to an owner, about its actors: callers need no other. */
  lookup: (namespace: string): string => `codistill.${encodeToken(namespace)}.locate`,
  locate: (namespace: string, owner: string): string =>
    `${subjects.lookup(namespace)}.${encodeToken(owner)}`,
  /** Orders to a node, and reports: start, kill, move, checkpoint, exited. */
  node: (namespace: string, nodeId: string): string =>
    `codistill.${encodeToken(namespace)}.node.${encodeToken(nodeId)}`,
  /** Requests to a node's object store: put, fetch, state, leases. */
  objects: (namespace: string, nodeId: string): string =>
    `codistill.${encodeToken(namespace)}.objects.${encodeToken(nodeId)}`,
  /** Requests for chunks of one object of that store. */
  object: (namespace: string, nodeId: string, id: string): string =>
    `${subjects.objects(namespace, nodeId)}.${encodeToken(id)}`,
  /** Requests from a node to one of its child processes. */
  process: (namespace: string, processId: string): string =>
    `codistill.${encodeToken(namespace)}.process.${encodeToken(processId)}`,
  /** Questions to all nodes, and to one, about what they run; whoever only looks needs no other. */
  inspect: (namespace: string): string => `codistill.${encodeToken(namespace)}.inspect`,
  inspectNode: (namespace: string, nodeId: string): string =>
    `${subjects.inspect(namespace)}.${encodeToken(nodeId)}`,
  /** What happens to actors, nodes and the bus, as each node tells it. */
  events: (namespace: string): string => `codistill.${encodeToken(namespace)}.events`,
  /** A node's signs of life; the bits of its hash come first, so that groups of nodes can be heard. */
  heartbeat: (namespace: string, nodeId: string): string =>
    `${heartbeats(namespace)}.${groupWords(nodeId).join('.')}.${encodeToken(nodeId)}`,
  /** Those of all nodes that have so many bits in common with this one. */
  heartbeatsNear: (namespace: string, nodeId: string, bits: number): string =>
    [heartbeats(namespace), ...groupWords(nodeId).slice(0, bits), '>'].join('.'),
  /** Who is there? Every node answers with its heartbeat, to the one that asks alone. */
  rollCall: (namespace: string): string => `codistill.${encodeToken(namespace)}.roll-call`,
  /** Requests to the process that holds the register in its memory. */
  register: (namespace: string): string => `codistill.${encodeToken(namespace)}.register`,
  /** What changes in that register. */
  registerChanges: (namespace: string): string => `${subjects.register(namespace)}.changes`,
};

function heartbeats(namespace: string): string {
  return `codistill.${encodeToken(namespace)}.heartbeat`;
}

/** Enough for groups of 50 among 50,000 nodes. */
export const GROUP_BITS = 10;

/** The first bits of a hash of the node's id (CRC-32, stirred so that ids in a row are far apart). */
export function groupHash(nodeId: string): number {
  let hash = crc32(nodeId);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> (32 - GROUP_BITS);
}

function groupWords(nodeId: string): readonly string[] {
  return [...groupHash(nodeId).toString(2).padStart(GROUP_BITS, '0')];
}

export const actorAddressSchema: v.GenericSchema<unknown, ActorAddress> = v.object({
  name: v.string(),
  type: v.string(),
  owner: v.string(),
  methods: v.record(v.string(), v.picklist(['call', 'idempotent', 'stream'])),
});

/**
 * One life of an actor. Every message names it, so that a reply of an earlier life, or of another
 * owner's actor with the same name, is never taken for an answer of this one.
 */
export function incarnationOf(owner: string, name: string, epoch: number): string {
  return `${name}@${owner}#${epoch}`;
}

/**
 * Who owns a detached actor: itself. The node that supervises it now answers as this owner, so that
 * handles and incarnations stay what they are when another node takes over.
 */
export function detachedOwner(name: string): string {
  return `@${name}`;
}

export function isDetachedOwner(owner: string): boolean {
  return owner.startsWith('@');
}

/** A subject's word from any text: letters, digits, `-` and `_` stay, other bytes become `=XX`. */
export function encodeToken(text: string): string {
  if (/^[\w-]+$/.test(text)) return text;
  let token = '';
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte);
    token += /[\w-]/.test(character)
      ? character
      : `=${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return token;
}

/** The inverse of `encodeToken`. */
export function decodeToken(token: string): string {
  const bytes = token.replace(/=([0-9A-F]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, 'latin1').toString();
}
