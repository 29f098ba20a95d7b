import * as v from 'valibot';
import { CodistillError, DamagedDataError } from '../../errors.ts';
import {
  defineJob,
  delay,
  type Handle,
  type Job,
  type JobContext,
  withCallOptions,
} from '../../runtime/index.ts';
import { type JobJournal, outcomes } from './job-journal.ts';
import type { Entry, Journal } from './journal.ts';
import { defineLedger, type Ledger } from './ledger.ts';

/** What may go wrong under faults, so that a job tries again. */
const passing: ReadonlySet<string> = new Set([
  'DEADLINE',
  'ACTOR_DIED',
  'NO_RESPONDER',
  'PLACEMENT',
  'DAMAGED_DATA',
]);
const RETRY_MS = 500;
const CALL_MS = 5_000;
/** Also while no worker can be reached it has something to tell. */
const BEAT_MS = 300;

const options = v.object({
  id: v.string(),
  /** What is to be saved, in all. */
  steps: v.number(),
  pauseMs: v.number(),
  workers: v.number(),
  end: v.picklist(['finishes', 'breaks', 'refuses', 'never']),
  /** Whether it returns when its signal says so. */
  heeds: v.boolean(),
});

export type TallyOptions = v.InferOutput<typeof options>;

/** Has its workers save step after step, each life from where the last one was, and tells of each. */
export function defineTallyJob(
  journal: Journal,
  jobs: ReadonlyMap<string, JobJournal>,
): Job<typeof options> {
  return defineJob({
    name: 'tally',
    description: 'Save with actors.',
    options,
    modules: [],
    run: (context) => new TallyRun(context, journal, jobs.get(context.options.id)!).run(),
  });
}

interface Worker {
  readonly actor: string;
  readonly handle: Handle<Ledger>;
}

class TallyRun {
  readonly #context: JobContext<TallyOptions>;
  readonly #journal: Journal;
  readonly #job: JobJournal;
  readonly #number: number;
  #asked = 0;
  #isOver = false;

  constructor(context: JobContext<TallyOptions>, journal: Journal, job: JobJournal) {
    this.#context = context;
    this.#journal = journal;
    this.#job = job;
    this.#number = job.begin(context.resumed);
  }

  async run(): Promise<void> {
    void this.#beat();
    try {
      await this.#work();
    } finally {
      this.#isOver = true;
    }
  }

  async #beat(): Promise<void> {
    for (;;) {
      await delay(this.#context.clock, BEAT_MS);
      if (this.#isOver) return;
      this.#tell({ type: 'beat' });
    }
  }

  async #work(): Promise<void> {
    const { steps, pauseMs, end } = this.#context.options;
    const workers = await Promise.all(this.#spawnAll());
    const states = await Promise.all(workers.map((worker) => this.#read(worker)));
    let step = states.flat().filter((key) => key.includes('/save/')).length;
    for (; !this.#isStopped && (end === 'never' || step < steps); step += 1) {
      await this.#save(workers[step % workers.length]!);
      this.#tell({ type: 'step', step });
      await this.#pause(pauseMs);
    }
    if (this.#isStopped) this.#end('stops');
    else if (end !== 'never') this.#end(end);
  }

  get #isStopped(): boolean {
    return this.#context.options.heeds && this.#context.signal.aborted;
  }

  #end(how: keyof typeof outcomes): void {
    this.#tell({ type: 'end', how });
    this.#job.noteOutcome(this.#number, outcomes[how]);
    if (how === 'breaks') throw new RangeError('the job broke');
    if (how === 'refuses') throw new DamagedDataError('the job refuses its data');
  }

  #tell(event: { readonly type: string; readonly [field: string]: unknown }): void {
    const told = this.#job.nextTold(this.#number);
    this.#context.emit({ ...event, run: this.#number, told });
  }

  #spawnAll(): readonly Promise<Worker>[] {
    const { options, system, resumed } = this.#context;
    const definition = defineLedger(this.#journal);
    // As the journal tells lives of one name apart.
    const owner = `${system.nodeId}-life${this.#number}`;
    const wishes = { placement: 'spread', resume: resumed, maxRestarts: 1_000 } as const;
    return Array.from({ length: options.workers }, async (_, index) => {
      const name = `worker-${index + 1}`;
      const spawn = () => system.spawn(definition, { owner }, { ...wishes, name });
      return { actor: `${options.id}/${name}`, handle: await this.#untilDone(spawn) };
    });
  }

  #save({ actor, handle }: Worker): Promise<void> {
    return this.#untilDone(async () => {
      const entry = this.#nextEntry('save', actor);
      const incarnation = await withCallOptions(handle, { timeoutMs: CALL_MS }).addAndSave(entry);
      this.#journal.noteAnswer(actor, incarnation, 'addAndSave', entry);
    });
  }

  #read({ actor, handle }: Worker): Promise<readonly string[]> {
    return this.#untilDone(async () => {
      const entry = this.#nextEntry('read', actor);
      const { keys } = await withCallOptions(handle, { timeoutMs: CALL_MS }).read(entry);
      this.#journal.checkState(actor, keys);
      return keys;
    });
  }

  #nextEntry(what: string, actor: string): Entry {
    this.#asked += 1;
    return { caller: `run ${this.#number}/${what}/${actor}`, number: this.#asked };
  }

  async #untilDone<Result>(work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const code = error instanceof CodistillError ? error.code : 'none';
        if (this.#context.signal.aborted || !passing.has(code)) throw error;
      }
      await delay(this.#context.clock, RETRY_MS);
    }
  }

  async #pause(durationMs: number): Promise<void> {
    const { clock, signal } = this.#context;
    const stopping = this.#context.options.heeds ? signal : undefined;
    await delay(clock, durationMs, stopping).catch(() => {});
  }
}
