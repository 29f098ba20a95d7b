import { DeadlineError, NameTakenError, NoResponderError } from '../../errors.ts';
import { requestControl } from '../calls/control.ts';
import type { Endpoint } from '../calls/endpoint.ts';
import type { ActorAddress } from '../calls/handle.ts';
import { delay } from '../clock.ts';
import type { Register, RegisterEntry } from '../registry/register.ts';
import { subjects } from '../wire/address.ts';
import type { ActorStatus } from '../wire/life-messages.ts';
import { encodeMessage } from '../wire/wire.ts';
import {
  type DetachedRecord,
  type NameRecord,
  nameKey,
  type Orphan,
  parseNameRecord,
} from './name-record.ts';
import {
  awaitGone,
  type FormerNode,
  isKnownGone,
  type Looks,
  lookAt,
  type Registration,
  type RegistrationOptions,
} from './registration.ts';

const WAIT = { timeoutMs: 8_000 };
/** A node that doesn't say in that time whether it has an actor is looked up in the register. */
const ASK_MS = 3_000;
/** A life waits that long for a register that has lost its leader. */
const AMEND_WAIT = { timeoutMs: 30_000 };
const CLOSE_MS = 1_000;
const FREE_AGAIN_MS = 2_000;

export interface NamesOptions {
  readonly endpoint: Endpoint;
  readonly register: Register;
  readonly registration: Registration;
  /** What this node can tell of others without waiting. */
  readonly proofs: Pick<RegistrationOptions, 'processes' | 'life'>;
  sightingOf: NonNullable<Looks['sightingOf']>;
  /** A name can't be had yet. */
  onWait(message: string): void;
  /** An actor's name is another's now: it must not act any more. */
  onLost(name: string, why: string): void;
}

/** The names of actors: each has one actor at most in the namespace, proved by compare-and-set. */
export class Names {
  readonly #options: NamesOptions;
  /** Of this node's own names, the revision that proves it. */
  readonly #revisions = new Map<string, number>();
  /** Names that are being claimed: what the register says of them is about to be known. */
  readonly #claiming = new Set<string>();
  /** Names of orphans that are being taken over: nobody else here may take them. */
  readonly #adopting = new Map<string, Promise<unknown>>();
  readonly #amending = new Map<string, Promise<void>>();
  readonly #freeing = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(options: NamesOptions) {
    this.#options = options;
  }

  /** Who has the name; nobody knows whether it still lives. */
  async find(name: string): Promise<ActorAddress | undefined> {
    const entry = await this.#options.register.get(nameKey(name), WAIT);
    return entry && parseNameRecord(entry)?.address;
  }

  /**
   * Takes the name for an actor of this node. A living one's address comes back instead; the name of
   * one whose node is gone is taken from it, which may have to wait until that can't act any more.
   * @throws DeadlineError when the register is away.
   */
  async claim(address: ActorAddress, detached?: DetachedRecord): Promise<ActorAddress | undefined> {
    this.#claiming.add(address.name);
    try {
      return await this.#claim(address, detached);
    } finally {
      this.#claiming.delete(address.name);
    }
  }

  async #claim(
    address: ActorAddress,
    detached: DetachedRecord | undefined,
  ): Promise<ActorAddress | undefined> {
    const { register, registration, endpoint } = this.#options;
    const { name } = address;
    await this.freed(name);
    await this.#adopting.get(name)?.catch(() => {});
    await registration.hold();
    const key = nameKey(name);
    let entry: RegisterEntry | undefined;
    for (;;) {
      const nodeEpoch = registration.epoch;
      const record: NameRecord = {
        address,
        node: endpoint.nodeId,
        nodeEpoch,
        ...(detached && { detached }),
      };
      const revision =
        entry === undefined
          ? await register.create(key, record, WAIT)
          : await register.update(key, record, entry.revision, WAIT);
      if (revision !== undefined) {
        this.#revisions.set(name, revision);
        // The node was fenced off meanwhile: under its earlier epoch anybody may take the name.
        if (nodeEpoch !== registration.epoch && !(await this.#takeBack(name))) continue;
        return undefined;
      }
      entry = await register.get(key, WAIT);
      const before = entry && parseNameRecord(entry);
      if (before !== undefined && (await this.#isKept(before))) return before.address;
    }
  }

  /** The revision that proves this node's right to a name. */
  revisionOf(name: string): number {
    return this.#revisions.get(name) ?? 0;
  }

  /**
   * Writes where the next life of a detached actor will be, before it begins.
   * @throws NameTakenError when the actor is another node's now.
   */
  amend(address: ActorAddress, detached: DetachedRecord): Promise<void> {
    const { name } = address;
    const amending = this.#amend(address, detached).finally(() => this.#amending.delete(name));
    this.#amending.set(name, amending);
    return amending;
  }

  async #amend(address: ActorAddress, detached: DetachedRecord): Promise<void> {
    const { register, registration, endpoint, onLost } = this.#options;
    const { name } = address;
    const key = nameKey(name);
    if (this.#freeing.has(name)) throw new NameTakenError(`actor ${name} has ended`);
    let revision = this.#revisions.get(name);
    while (revision !== undefined) {
      const nodeEpoch = registration.epoch;
      const record = { address, node: endpoint.nodeId, nodeEpoch, detached };
      const written = await register.update(key, record, revision, AMEND_WAIT);
      if (written !== undefined) {
        this.#revisions.set(name, written);
        return;
      }
      const entry = await register.get(key, AMEND_WAIT);
      const found = entry && parseNameRecord(entry);
      // The second: this node was fenced off meanwhile, and has taken the name back.
      const own = this.#isOwn(found, nodeEpoch) || this.#isOwn(found, registration.epoch);
      revision = own ? entry!.revision : undefined;
    }
    const why = `actor ${name} is supervised by another node now`;
    if (this.#revisions.delete(name)) onLost(name, why);
    throw new NameTakenError(why);
  }

  /** A write of this node that was not acknowledged may have happened all the same. */
  #isOwn(record: NameRecord | undefined, epoch: number): boolean {
    return record?.node === this.#options.endpoint.nodeId && record.nodeEpoch === epoch;
  }

  /** Leaves a detached actor to whoever adopts it. */
  release(name: string): void {
    this.#revisions.delete(name);
  }

  /**
   * Detached actors that nobody has begun, whose supervisor `isGone`, or is this node, which doesn't know of
   * it: nobody heard that it had taken them.
   */
  async orphans(isGone: (nodeId: string) => boolean): Promise<readonly Orphan[]> {
    const { nodeId } = this.#options.endpoint;
    const entries = await this.#options.register.list('names', WAIT);
    return entries.flatMap((entry) => {
      const record = parseNameRecord(entry);
      if (record?.detached === undefined) return [];
      const { name } = record.address;
      const isUnheard =
        record.node === nodeId &&
        !this.#revisions.has(name) &&
        !this.#claiming.has(name) &&
        !this.#freeing.has(name);
      if (record.node !== '' && !isGone(record.node) && !isUnheard) return [];
      return [{ record: { ...record, detached: record.detached }, revision: entry.revision }];
    });
  }

  /** Makes this node the supervisor of an orphan: how the former one is; `alive` also if it isn't one. */
  async adopt(orphan: Orphan): Promise<FormerNode> {
    const { name } = orphan.record.address;
    if (this.#claiming.has(name) || this.#adopting.has(name)) return { state: 'alive' };
    const adopting = this.#adopt(orphan).finally(() => this.#adopting.delete(name));
    this.#adopting.set(name, adopting);
    return adopting;
  }

  async #adopt({ record, revision }: Orphan): Promise<FormerNode> {
    const { register, registration, endpoint } = this.#options;
    const { node, nodeEpoch, address } = record;
    const former = await this.#former(node, nodeEpoch);
    if (former.state === 'alive') return former;
    await registration.hold();
    const mine = { ...record, node: endpoint.nodeId, nodeEpoch: registration.epoch };
    const written = await register.update(nameKey(address.name), mine, revision, WAIT);
    if (written === undefined) return { ...former, state: 'alive' };
    this.#revisions.set(address.name, written);
    return former;
  }

  async #former(node: string, epoch: number): Promise<FormerNode> {
    if (node === '') return { state: 'lapsed' };
    // Taken before, without hearing of it: how the one before that was is not known any more.
    if (node === this.#options.endpoint.nodeId) return { state: 'ended' };
    return await awaitGone(this.#looks, node, epoch);
  }

  /**
   * The actor is dead for good: the name is free when what is left of it has been removed by `clean`.
   * While the register is away that is tried again; an owned actor's name counts as free meanwhile, as
   * its owner says that it is dead.
   */
  free(name: string, clean: () => Promise<unknown>): void {
    if (!this.#revisions.has(name) || this.#freeing.has(name)) return;
    const freeing = this.#free(name, clean).finally(() => this.#freeing.delete(name));
    this.#freeing.set(name, freeing);
  }

  /** Resolves when the name of an actor that died here is free. */
  async freed(name: string): Promise<void> {
    await this.#freeing.get(name);
  }

  async #free(name: string, clean: () => Promise<unknown>): Promise<void> {
    const { register, registration, endpoint } = this.#options;
    const { signal } = this.#closing;
    const key = nameKey(name);
    await clean();
    // A life that was about to begin may be writing itself into the entry.
    await this.#amending.get(name)?.catch(() => {});
    let revision = this.#revisions.get(name);
    this.#revisions.delete(name);
    while (revision !== undefined && !signal.aborted) {
      try {
        if (await register.delete(key, revision, WAIT)) return;
        const entry = await register.get(key, WAIT);
        const own = entry && this.#isOwn(parseNameRecord(entry), registration.epoch);
        revision = own ? entry.revision : undefined;
      } catch {
        await delay(endpoint.clock, FREE_AGAIN_MS, signal).catch(() => {});
      }
    }
  }

  /** Resolves when all names of dead actors are free, or the register took too long. */
  async close(): Promise<void> {
    const enough = new AbortController();
    const late = delay(this.#options.endpoint.clock, CLOSE_MS, enough.signal).catch(() => {});
    await Promise.race([Promise.all(this.#freeing.values()), late]);
    enough.abort();
    this.#closing.abort();
  }

  /** Writes this node's new epoch into its names; those that others took meanwhile are lost. */
  async reclaim(): Promise<void> {
    for (const name of [...this.#revisions.keys()]) {
      if ((await this.#takeBack(name)) || !this.#revisions.delete(name)) continue;
      this.#options.onLost(
        name,
        'its node was silent for too long, and the name was taken by another',
      );
    }
  }

  /** False when the name is another's, or was freed. */
  async #takeBack(name: string): Promise<boolean> {
    const { register, registration, endpoint } = this.#options;
    const key = nameKey(name);
    for (;;) {
      // A life that begins writes itself into the entry at the same time.
      await this.#amending.get(name)?.catch(() => {});
      const entry = await register.get(key, WAIT);
      const record = entry && parseNameRecord(entry);
      const { epoch } = registration;
      const own = entry?.revision === this.#revisions.get(name) || this.#isOwn(record, epoch);
      if (record === undefined || !own) return false;
      const next = { ...record, node: endpoint.nodeId, nodeEpoch: epoch };
      const written = await register.update(key, next, entry!.revision, WAIT);
      if (written === undefined) continue;
      if (this.#revisions.has(name)) this.#revisions.set(name, written);
      return true;
    }
  }

  /** Whether the one in the register has the name rightly. */
  async #isKept({ address, node, nodeEpoch, detached }: NameRecord): Promise<boolean> {
    const { endpoint, onWait, proofs } = this.#options;
    // It outlives its node: some other one takes it up.
    if (detached !== undefined && node !== endpoint.nodeId) return true;
    // Our own: left by a write that nobody heard the answer of, or by an earlier incarnation. A detached actor that has
    // lived goes on, once it is found to be an orphan.
    if (node === endpoint.nodeId) {
      return this.#revisions.has(address.name) || (detached?.epoch ?? 0) > 0;
    }
    const looks = this.#looks;
    if (await isKnownGone(looks, proofs, node, nodeEpoch)) return false;
    const { sighting, record } = await lookAt(looks, node, looks.sightingOf?.(node));
    const status = await this.#ask(address);
    if (status === 'dead') return false;
    if (status !== 'unknown') return true;
    onWait(
      `the name ${address.name} is that of an actor of node ${record?.nodeName ?? node}, which doesn't answer: waiting ` +
        "until that can't act any more, some seconds",
    );
    const sightingOf = () => sighting;
    const { state } = await awaitGone({ ...looks, sightingOf }, node, nodeEpoch);
    return state === 'alive';
  }

  get #looks(): Looks {
    const { register, endpoint, sightingOf } = this.#options;
    return { register, clock: endpoint.clock, sightingOf };
  }

  async #ask({ name, owner }: ActorAddress): Promise<ActorStatus | 'unknown'> {
    const { endpoint } = this.#options;
    const subject = subjects.locate(endpoint.namespace, owner);
    const parcel = { bytes: encodeMessage({ kind: 'locate', name }) };
    try {
      const options = { timeoutMs: ASK_MS };
      return (await requestControl(endpoint, subject, 'state', parcel, options)).status;
    } catch (error) {
      if (error instanceof NoResponderError || error instanceof DeadlineError) return 'unknown';
      throw error;
    }
  }
}

export function nameTaken(name: string, namespace: string, { type, owner }: ActorAddress) {
  return new NameTakenError(
    `namespace ${namespace} already has an actor ${name} (${type}, of node ${owner}); choose another ` +
      'name or another namespace, or spawn with getIfExists: true to share it',
  );
}
