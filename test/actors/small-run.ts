import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRandomGenerator } from '../../training/index.ts';
import { type ActorctlProcess, type JsonEvent, startActorctl } from '../cli/actorctl-process.ts';

/** A model and text so small that a whole run of `lm-codistill` takes seconds. */
export const smallOptions = {
  steps: 100,
  batch: 16,
  time: 16,
  vocabularySize: 320,
  'model.embeddingSize': 16,
  'model.hiddenSize': 48,
  learningRate: 0.04,
  warmupSteps: 5,
  burnInSteps: 40,
  'exchange.intervalSteps': 5,
  checkpointIntervalSteps: 5,
  'evaluation.intervalSteps': 20,
  'evaluation.batches': 8,
};

/** Two workers of eight lanes each read what one reads with sixteen. */
export const twoWorkers = { batch: 8, 'workers.count': 2 };

export interface ReplicaResult {
  readonly name: string;
  readonly valLoss: number;
  readonly stalenessStepsMean: number;
  readonly stalenessStepsMax: number;
  readonly weightsSha256: string;
}

export interface RunResult extends JsonEvent {
  readonly type: 'result';
  readonly tokens: number;
  readonly unigramLoss: number;
  readonly ensembleLoss: number;
  readonly replicas: readonly ReplicaResult[];
  readonly exchange: {
    readonly count: number;
    readonly bytes: number;
    readonly fullBytes: number;
    readonly workersBytes: number;
    readonly predictionsBytes: number;
  };
}

export interface ActorStarted extends JsonEvent {
  readonly event: string;
  readonly actor: string;
  readonly node: string;
  readonly pid: number;
}

/** Writes a text with some structure to learn: sentences of made-up words that follow one another. */
export async function writeSmallText(folder: string): Promise<string> {
  const random = createRandomGenerator(1, 'small text');
  const pick = (count: number): number => Math.floor(random.nextUniform(0, 1) ** 2 * count);
  const syllables = ['ba', 'de', 'ki', 'lo', 'mu', 'na', 're', 'si', 'to', 'vu'];
  const words = Array.from({ length: 40 }, () =>
    Array.from({ length: 2 + pick(2) }, () => syllables[pick(10)]).join(''),
  );
  let at = 0;
  // A word has few successors: what a recurrent model learns and a unigram model can't.
  const nextWord = (): string => {
    at = (at * 7 + pick(3)) % words.length;
    return words[at] as string;
  };
  const sentence = (): string => `${Array.from({ length: 4 + pick(8) }, nextWord).join(' ')}.`;
  const path = join(folder, 'text.txt');
  await writeFile(path, Array.from({ length: 4000 }, sentence).join('\n'));
  return path;
}

/** Starts `actorctl run lm-codistill --json` on the small text. */
export function startSmallRun(
  folder: string,
  text: string,
  options: Readonly<Record<string, string | number>> = {},
  flags: readonly string[] = [],
): ActorctlProcess {
  const settings = Object.entries({ ...smallOptions, ...options });
  const sets = settings.flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  return startActorctl(
    ['run', 'lm-codistill', '--data', text, '--json', ...sets, ...flags],
    folder,
  );
}

/** Waits for the step of a replica. */
export async function reachStep(
  run: ActorctlProcess,
  replica: string,
  step: number,
): Promise<void> {
  await run.waitForLine((line) => {
    const event = JSON.parse(line) as JsonEvent;
    return event.type === 'step' && event.replica === replica && (event.step as number) >= step;
  });
}

/** What a replica's steps told. */
export function stepsOf(events: readonly JsonEvent[], replica: string): readonly JsonEvent[] {
  return events.filter((event) => event.type === 'step' && event.replica === replica);
}

/** The newest incarnation of an actor. */
export function newestIncarnation(events: readonly JsonEvent[], actor: string): ActorStarted {
  const lives = events.filter(
    (event): event is ActorStarted =>
      event.type === 'actor' && event.actor === actor && event.event !== 'died',
  );
  const newest = lives.at(-1);
  if (newest === undefined) throw new Error(`${actor} has not started`);
  return newest;
}

/** The run's result. @throws when it failed. */
export async function resultOf(run: ActorctlProcess): Promise<RunResult> {
  const { exitCode, stdout, stderr } = await run.ended;
  const last = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? 'null') as JsonEvent | null;
  if (exitCode !== 0 || last?.type !== 'result') {
    throw new Error(`exit code ${exitCode}\n${stdout.slice(-2000)}\n${stderr.slice(-2000)}`);
  }
  return last as RunResult;
}

export function hashesOf(result: RunResult): readonly string[] {
  return result.replicas.map((replica) => replica.weightsSha256);
}
