import * as v from 'valibot';
import type { Subscription } from '../bus/bus.ts';
import { type Clock, delay } from '../clock.ts';
import { type Register, type RegisterEntry, registerKey } from '../registry/register.ts';

export type JobState = 'running' | 'finished' | 'failed' | 'stopped';

/** What is known of a submitted job; it stays in the register when the job is over. */
export interface JobRecord {
  readonly id: string;
  /** The job's own name, by which a node that has its module knows it. */
  readonly job: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly state: JobState;
  /** Milliseconds since 1970, by the clock of the host that wrote it. */
  readonly submittedAt: number;
  readonly endedAt?: number;
  /** Somebody wants it to end. */
  readonly stopAsked?: boolean;
  /** How often its controller began: more than once when a node died. */
  readonly lives: number;
  /** Of a failure: a stable code, if it had one, and a sentence. */
  readonly error?: { readonly code?: string; readonly message: string };
}

const recordSchema: v.GenericSchema<unknown, JobRecord> = v.object({
  id: v.string(),
  job: v.string(),
  options: v.record(v.string(), v.unknown()),
  state: v.picklist(['running', 'finished', 'failed', 'stopped']),
  submittedAt: v.number(),
  endedAt: v.exactOptional(v.number()),
  stopAsked: v.exactOptional(v.boolean()),
  lives: v.number(),
  error: v.exactOptional(v.object({ code: v.exactOptional(v.string()), message: v.string() })),
});

const WAIT = { timeoutMs: 15_000 };
/** Between a job's actor and its record. */
const SUBMIT_MS = 15_000;
const LOOK_MS = 200;

/** False when a job of this id was submitted before. */
export async function createJobRecord(register: Register, record: JobRecord): Promise<boolean> {
  return (await register.create(jobKey(record.id), record, WAIT)) !== undefined;
}

export async function readJobRecord(
  register: Register,
  id: string,
): Promise<JobRecord | undefined> {
  const entry = await register.get(jobKey(id), WAIT);
  return entry && parseRecord(entry);
}

/** By the time of their submission. */
export async function listJobRecords(register: Register): Promise<readonly JobRecord[]> {
  const records = (await register.list('jobs', WAIT)).flatMap((entry) => parseRecord(entry) ?? []);
  return records.sort((a, b) => a.submittedAt - b.submittedAt);
}

/**
 * Notes that life `epoch` of a job's controller runs it from now on. `over`: there is nothing to run any
 * more, or nobody submitted it in the end; `replaced`: a later life runs it.
 */
export async function beginJobLife(
  register: Register,
  id: string,
  { epoch, clock }: { readonly epoch: number; readonly clock: Clock },
): Promise<'begun' | 'over' | 'replaced'> {
  const giveUpAt = clock.now() + SUBMIT_MS;
  for (;;) {
    const begun = await changeJobRecord(register, id, (record) =>
      record.lives > epoch ? undefined : { ...record, lives: epoch },
    );
    if (begun !== undefined) return 'begun';
    const record = await readJobRecord(register, id);
    if (record?.state === 'running') return 'replaced';
    // The record is written just after the actor that found none.
    if (record !== undefined || clock.now() > giveUpAt) return 'over';
    await delay(clock, LOOK_MS);
  }
}

/** Changes a job that is not over; undefined for one that is, that is not known, or that `change` leaves. */
export async function changeJobRecord(
  register: Register,
  id: string,
  change: (record: JobRecord) => JobRecord | undefined,
): Promise<JobRecord | undefined> {
  for (;;) {
    const entry = await register.get(jobKey(id), WAIT);
    const record = entry && parseRecord(entry);
    if (entry === undefined || record === undefined || record.state !== 'running') return undefined;
    const changed = change(record);
    if (changed === undefined) return undefined;
    const revision = await register.update(jobKey(id), changed, entry.revision, WAIT);
    if (revision !== undefined) return changed;
  }
}

/** Hears of the job each time that its record changes, and once of how it is. */
export function watchJobRecord(
  register: Register,
  id: string,
  listener: (record: JobRecord) => void,
): Promise<Subscription> {
  return register.watch(
    'jobs',
    (change) => {
      const record = change.type === 'set' ? parseRecord(change) : undefined;
      if (record?.id === id) listener(record);
    },
    WAIT,
  );
}

function jobKey(id: string): string {
  return registerKey('jobs', id);
}

function parseRecord({ value }: RegisterEntry): JobRecord | undefined {
  const parsed = v.safeParse(recordSchema, value);
  return parsed.success ? parsed.output : undefined;
}
