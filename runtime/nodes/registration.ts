import * as v from 'valibot';
import { DeadlineError } from '../../errors.ts';
import { type Clock, type ClockTimer, delay, repeat } from '../clock.ts';
import { type Register, type RegisterEntry, registerKey } from '../registry/register.ts';
import { type HostProcess, type HostProcesses, hostProcessSchema } from './host-process.ts';

/**
 * What is lost with a node waits so long for another one. While the register has no leader, for 4 to 7 s,
 * actors with names pause; nobody can take their names meanwhile.
 */
const LEASE_MS = 3_500;
const BEAT_MS = 1_000;
/** Clocks of hosts don't run at quite the same rate. */
const MARGIN_MS = 300;
export const LOOK_MS: number = 1_000;
const SLOW_MS = 1_000;
const WAIT = { timeoutMs: 8_000 };
const CLOSE_MS = 1_000;

export interface NodeRecord {
  /**
   * The revision of the incarnation's first write, which itself says 0: a later incarnation of the
   * node has a greater one.
   */
  readonly epoch: number;
  readonly nodeName: string;
  /** The process that wrote it. */
  readonly mark: string;
  /** Changes with each beat. */
  readonly beat: number;
  /**
   * Another node has taken its names from it: `lapsed`, nothing that needed its word could act any more;
   * `ended`, itself and all that it had started on its host were gone.
   */
  readonly fenced: 'no' | 'lapsed' | 'ended';
  /** Actors with names may live on other hosts, by this node's word. */
  readonly lent: boolean;
  /** Where that can be told. */
  readonly process?: HostProcess;
  /** The actor whose life the node belongs to: the system of a job's controller. */
  readonly life?: ActorLife;
}

/** One life of a detached actor: no later one begins while what this one vouched for can act. */
export interface ActorLife {
  readonly actor: string;
  readonly epoch: number;
}

const recordSchema: v.GenericSchema<unknown, NodeRecord> = v.object({
  epoch: v.number(),
  nodeName: v.string(),
  mark: v.string(),
  beat: v.number(),
  fenced: v.picklist(['no', 'lapsed', 'ended']),
  lent: v.boolean(),
  process: v.exactOptional(hostProcessSchema),
  life: v.exactOptional(v.object({ actor: v.string(), epoch: v.number() })),
});

export interface RegistrationOptions {
  readonly register: Register;
  readonly clock: Clock;
  readonly nodeId: string;
  readonly nodeName: string;
  /** A text that no other process has. */
  readonly mark: string;
  /** False where no other node can be: nothing needs to be proved then. */
  readonly shared: boolean;
  /** Absent where nothing is known of processes. */
  readonly processes: HostProcesses | undefined;
  /** What the node belongs to: it acts no longer than that may. */
  readonly life: NodeLife | undefined;
  /** Our names were taken from us: make those ours again that still can be, under the present epoch. */
  reclaim(): Promise<void>;
  /** A later incarnation of this node is there. */
  onReplaced(): void;
  log(message: string): void;
}

export interface NodeLife extends ActorLife {
  remainingMs(): number;
}

/**
 * This node in the register. While it has names it writes a beat there: whoever sees no beat for longer
 * than the lease may fence it off and take its names, and the node itself stops acting under them first.
 */
export class Registration {
  readonly #options: RegistrationOptions;
  readonly #key: string;
  #epoch = 0;
  #revision = 0;
  #beat = 0;
  #lent: 'no' | 'wanted' | 'written' = 'no';
  #until = Number.NEGATIVE_INFINITY;
  #beating: ClockTimer | undefined;
  #writing: Promise<void> | undefined;
  /** Our names are still written under an earlier epoch, which others take for gone. */
  #owesReclaim = false;
  #closed = false;

  constructor(options: RegistrationOptions) {
    this.#options = options;
    this.#key = nodeKey(options.nodeId);
  }

  /** Of this incarnation of the node. */
  get epoch(): number {
    return this.#epoch;
  }

  /** How long nobody else can have taken this node's names. */
  get remainingMs(): number {
    // Without names there is nothing to be taken.
    if (!this.#options.shared || this.#beating === undefined) return Number.POSITIVE_INFINITY;
    const { clock, life } = this.#options;
    return Math.min(this.#until - clock.now(), life?.remainingMs() ?? Number.POSITIVE_INFINITY);
  }

  /** Enters the node, as a new incarnation if it was there. @throws DeadlineError */
  async enter(): Promise<void> {
    this.#until = (await this.#enter()) + LEASE_MS;
  }

  /** @returns when it was asked for. */
  async #enter(): Promise<number> {
    const { register } = this.#options;
    for (;;) {
      const before = await register.get(this.#key, WAIT);
      const record = this.#record(0);
      const sentAt = this.#options.clock.now();
      const revision =
        before === undefined
          ? await register.create(this.#key, record, WAIT)
          : await register.update(this.#key, record, before.revision, WAIT);
      if (revision === undefined) continue;
      this.#revision = revision;
      this.#epoch = revision;
      if (record.lent) this.#lent = 'written';
      return sentAt;
    }
  }

  /** From now on there are names to keep: resolves when nobody can take them for a while. */
  async hold(): Promise<void> {
    if (!this.#options.shared || this.#closed) return;
    if (this.#beating === undefined) {
      this.#beating = repeat(this.#options.clock, BEAT_MS, () => void this.#beatOnce());
      await this.#beatOnce();
    }
  }

  /** An actor with a name is about to live elsewhere. @throws DeadlineError when that is not written. */
  async lend(): Promise<void> {
    if (!this.#options.shared || this.#lent === 'written') return;
    this.#lent = 'wanted';
    await this.#writing;
    await this.#beatOnce();
    if ((this.#lent as string) === 'written') return;
    throw new DeadlineError('the register was not reached, which has to know of actors elsewhere');
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#beating?.cancel();
    const { register, clock } = this.#options;
    // A register that is away must not hold up the end; whoever wants the names fences us then.
    const enough = new AbortController();
    await Promise.race([this.#writing, delay(clock, CLOSE_MS, enough.signal).catch(() => {})]);
    enough.abort();
    await register.delete(this.#key, this.#revision, { timeoutMs: CLOSE_MS }).catch(() => false);
  }

  #beatOnce(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    const { register, clock, log } = this.#options;
    this.#beat += 1;
    const sentAt = clock.now();
    const record = this.#record(this.#epoch);
    try {
      const revision = await register.update(this.#key, record, this.#revision, WAIT);
      if (revision === undefined) {
        await this.#comeBack();
        return;
      }
      this.#revision = revision;
      await this.#reclaim();
      this.#until = sentAt + LEASE_MS;
      if (record.lent) this.#lent = 'written';
    } catch (error) {
      // Not reached: as long as that lasts nobody else can take the names either.
      log(`the register was not reached: ${(error as Error).message}`);
    }
  }

  /** Somebody wrote our entry. */
  async #comeBack(): Promise<void> {
    const { register, nodeId, mark, onReplaced, log } = this.#options;
    if (this.#closed) return;
    this.#until = Number.NEGATIVE_INFINITY;
    const entry = await register.get(this.#key, WAIT);
    const record = entry && parseNodeRecord(entry);
    if (record?.fenced === 'no' && record.mark === mark) {
      // A write of ours, whose answer was lost: nobody has taken anything.
      this.#revision = entry!.revision;
      const epoch = epochOf(entry!, record);
      if (epoch !== this.#epoch) this.#owesReclaim = true;
      this.#epoch = epoch;
      await this.#write();
      return;
    }
    if (record?.fenced === 'no') {
      this.#beating?.cancel();
      onReplaced();
      return;
    }
    log(`node ${nodeId} was silent for too long and was fenced off; it takes back what is left`);
    this.#owesReclaim = true;
    const sentAt = await this.#enter();
    await this.#reclaim();
    this.#until = sentAt + LEASE_MS;
  }

  async #reclaim(): Promise<void> {
    if (!this.#owesReclaim) return;
    await this.#options.reclaim();
    this.#owesReclaim = false;
  }

  #record(epoch: number): NodeRecord {
    const { nodeName, mark, processes, life } = this.#options;
    return {
      epoch,
      nodeName,
      mark,
      beat: this.#beat,
      fenced: 'no',
      lent: this.#lent !== 'no',
      ...(processes?.own && { process: processes.own }),
      ...(life && { life: { actor: life.actor, epoch: life.epoch } }),
    };
  }
}

/** Since when a node's entry has been seen without a change, by one who looked again and again. */
export interface Sighting {
  readonly revision: number;
  readonly since: number;
  readonly lookedAt: number;
}

export interface Looks {
  readonly register: Register;
  readonly clock: Clock;
  /** What was seen of a node before. */
  sightingOf?(nodeId: string): Sighting | undefined;
}

/** One look at a node's entry, after those that `before` tells of. */
export async function lookAt(
  { register, clock }: Pick<Looks, 'register' | 'clock'>,
  nodeId: string,
  before: Sighting | undefined,
): Promise<{
  readonly entry: RegisterEntry | undefined;
  readonly record: NodeRecord | undefined;
  readonly sighting: Sighting;
}> {
  const entry = await register.get(nodeKey(nodeId), WAIT);
  const now = clock.now();
  const revision = entry?.revision ?? 0;
  // While the register was away to us it may have been away to that node.
  const goesOn = before?.revision === revision && now - before.lookedAt <= LOOK_MS + SLOW_MS;
  const sighting = { revision, since: goesOn ? before.since : now, lookedAt: now };
  return { entry, record: entry && parseNodeRecord(entry), sighting };
}

/**
 * How an incarnation of a node is: `alive`; `lapsed`, nothing that needs its word can act; `left`, in an
 * orderly way, or `ended`, it was replaced: what it vouched for elsewhere may act for a last lease.
 */
export type NodeState = 'alive' | 'lapsed' | 'left' | 'ended';

export interface FormerNode {
  readonly state: NodeState;
  /** As the register has it. */
  readonly nodeName?: string;
}

/**
 * Waits until an incarnation of a node can't act under its names any more, fencing it off if it is only
 * silent. `alive` as soon as it shows that it lives.
 */
export async function awaitGone(looks: Looks, nodeId: string, epoch: number): Promise<FormerNode> {
  const { clock } = looks;
  let before = looks.sightingOf?.(nodeId);
  for (;;) {
    const { entry, record, sighting } = await lookAt(looks, nodeId, before);
    if (entry === undefined) return { state: 'left' };
    if (record === undefined) return { state: 'ended' };
    const { nodeName, fenced } = record;
    if (epochOf(entry, record) !== epoch) return { state: 'ended', nodeName };
    if (fenced !== 'no') return { state: fenced, nodeName };
    if (before !== undefined && before.revision !== sighting.revision) {
      return { state: 'alive', nodeName };
    }
    before = sighting;
    const leftMs = sighting.since + LEASE_MS + MARGIN_MS - clock.now();
    if (leftMs <= 0) {
      const fencedAt = await fence(looks.register, entry, record, 'lapsed');
      if (fencedAt !== undefined) return { state: 'lapsed', nodeName };
      // It beat at the last moment, or somebody else fenced it: the next look tells.
      continue;
    }
    await delay(clock, Math.min(LOOK_MS, leftMs));
  }
}

/**
 * Whether it is certain now, without waiting, that an incarnation of a node can't act any more: it has
 * left, was fenced off, belonged to an earlier life of what `life` is one of, or its processes have ended
 * and it had given its word to nobody elsewhere.
 */
export async function isKnownGone(
  looks: Looks,
  { processes, life }: Pick<RegistrationOptions, 'processes' | 'life'>,
  nodeId: string,
  epoch: number,
): Promise<boolean> {
  const entry = await looks.register.get(nodeKey(nodeId), WAIT);
  const record = entry && parseNodeRecord(entry);
  if (entry === undefined || record === undefined) return true;
  if (record.fenced !== 'no' || epochOf(entry, record) !== epoch) return true;
  const isEarlierLife =
    life !== undefined && record.life?.actor === life.actor && record.life.epoch < life.epoch;
  if (isEarlierLife) {
    if ((await fence(looks.register, entry, record, 'lapsed')) !== undefined) return true;
    // It has written a beat, as a process that was away does, and can't act all the same.
    return await isKnownGone(looks, { processes, life }, nodeId, epoch);
  }
  if (record.lent || record.process === undefined || processes === undefined) return false;
  if (!(await processes.haveEnded(record.process, nodeId))) return false;
  return (await fence(looks.register, entry, record, 'ended')) !== undefined;
}

/**
 * Fences off a node whose entry was seen without a change for longer than a lease.
 * @returns the entry's revision then; undefined when it has changed meanwhile.
 */
export async function fenceSilent(
  register: Register,
  entry: RegisterEntry,
): Promise<number | undefined> {
  const record = parseNodeRecord(entry);
  if (record === undefined || record.fenced !== 'no') return entry.revision;
  return await fence(register, entry, record, 'lapsed');
}

/** The entry's new revision; undefined when it has changed meanwhile. */
function fence(
  register: Register,
  { key, revision }: RegisterEntry,
  record: NodeRecord,
  fenced: 'lapsed' | 'ended',
): Promise<number | undefined> {
  return register.update(key, { ...record, fenced }, revision, WAIT);
}

/** A node's first record can't hold its own revision yet. */
function epochOf(entry: RegisterEntry, { epoch }: NodeRecord): number {
  return epoch === 0 ? entry.revision : epoch;
}

function nodeKey(nodeId: string): string {
  return registerKey('nodes', nodeId);
}

function parseNodeRecord({ value }: RegisterEntry): NodeRecord | undefined {
  const parsed = v.safeParse(recordSchema, value);
  return parsed.success ? parsed.output : undefined;
}
