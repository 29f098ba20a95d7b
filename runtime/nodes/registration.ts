import * as v from 'valibot';
import { type Clock, type ClockTimer, delay, repeat } from '../clock.ts';
import { type Register, type RegisterEntry, registerKey } from '../registry/register.ts';

/** A register that loses its leader is away for 4 to 7 s: that alone must cost nobody its names. */
const LEASE_MS = 10_000;
const BEAT_MS = 2_500;
/** Clocks of hosts don't run at quite the same rate. */
const MARGIN_MS = 1_000;
const LOOK_MS = 1_000;
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
  /** Changes with each beat. */
  readonly beat: number;
  /** Another node found it silent for too long and has taken its names from it. */
  readonly fenced: boolean;
}

const recordSchema = v.object({
  epoch: v.number(),
  nodeName: v.string(),
  beat: v.number(),
  fenced: v.boolean(),
});

export interface RegistrationOptions {
  readonly register: Register;
  readonly clock: Clock;
  readonly nodeId: string;
  readonly nodeName: string;
  /** False where no other node can be: nothing needs to be proved then. */
  readonly shared: boolean;
  /** Our names were taken from us: make those ours again that still can be, under this epoch. */
  reclaim(epoch: number): Promise<void>;
  /** A later incarnation of this node is there. */
  onReplaced(): void;
  log(message: string): void;
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
  #until = Number.NEGATIVE_INFINITY;
  #beating: ClockTimer | undefined;
  #writing: Promise<void> | undefined;
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
    return this.#until - this.#options.clock.now();
  }

  /** Enters the node, as a new incarnation if it was there. @throws DeadlineError */
  async enter(): Promise<void> {
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
      this.#until = sentAt + LEASE_MS;
      return;
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
    try {
      const revision = await register.update(
        this.#key,
        this.#record(this.#epoch),
        this.#revision,
        WAIT,
      );
      if (revision !== undefined) {
        this.#revision = revision;
        this.#until = sentAt + LEASE_MS;
        return;
      }
      await this.#comeBack();
    } catch (error) {
      // Not reached: as long as that lasts nobody else can take the names either.
      log(`the register was not reached: ${(error as Error).message}`);
    }
  }

  /** Somebody wrote our entry. */
  async #comeBack(): Promise<void> {
    const { register, clock, nodeId, reclaim, onReplaced, log } = this.#options;
    if (this.#closed) return;
    this.#until = Number.NEGATIVE_INFINITY;
    const entry = await register.get(this.#key, WAIT);
    const record = entry && parseNodeRecord(entry);
    if (record && !record.fenced && record.epoch !== this.#epoch) {
      this.#beating?.cancel();
      onReplaced();
      return;
    }
    log(`node ${nodeId} was silent for too long and was fenced off; it takes back what is left`);
    await this.enter();
    const until = this.#until;
    this.#until = Number.NEGATIVE_INFINITY;
    await reclaim(this.#epoch);
    if (until > clock.now()) this.#until = until;
  }

  #record(epoch: number): NodeRecord {
    const { nodeName } = this.#options;
    return { epoch, nodeName, beat: this.#beat, fenced: false };
  }
}

/**
 * Waits until an incarnation of a node can't act under its names any more, fencing it off if it is only
 * silent. False as soon as it shows that it lives.
 */
export async function awaitGone(
  { register, clock }: Pick<RegistrationOptions, 'register' | 'clock'>,
  nodeId: string,
  epoch: number,
): Promise<boolean> {
  const key = nodeKey(nodeId);
  let seen: { readonly revision: number; readonly at: number } | undefined;
  let lookedAt = clock.now();
  for (;;) {
    const entry = await register.get(key, WAIT);
    if (entry === undefined) return true;
    const record = parseNodeRecord(entry);
    if (record === undefined || record.fenced || epochOf(entry, record) !== epoch) return true;
    const now = clock.now();
    // While the register was away to us it may have been away to that node.
    if (now - lookedAt > LOOK_MS + SLOW_MS) seen = undefined;
    lookedAt = now;
    if (seen === undefined) seen = { revision: entry.revision, at: now };
    else if (seen.revision !== entry.revision) return false;
    else if (now - seen.at >= LEASE_MS + MARGIN_MS) {
      const fence = { ...record, fenced: true };
      const fenced = await register.update(key, fence, entry.revision, WAIT);
      if (fenced !== undefined) return true;
      // It beat at the last moment, or somebody else fenced it: the next look tells.
      continue;
    }
    await delay(clock, LOOK_MS);
  }
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
