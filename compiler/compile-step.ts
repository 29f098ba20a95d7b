import { CannotCompileError } from '../errors.ts';
import { type Engine, type EngineName, engineNames } from './engine.ts';
import { prepareEngine, startFastest } from './engines.ts';
import { checkNames, describe } from './option-names.ts';
import { StateMemory, type StateStore } from './state-store.ts';
import type { StepFunction } from './step-function.ts';
import type { StepRunner } from './step-runner.ts';
import {
  byteLengthOf,
  checkData,
  checkSpecs,
  describeSpec,
  type TensorData,
  type TensorSpec,
  viewOf,
} from './tensor-spec.ts';
import { refuseNoEffect, type StepTrace, statePrefix, traceStep } from './trace-step.ts';

export interface CompileOptions {
  /** What the step reads and updates; several steps may share one. It outlives the steps. */
  readonly state: StateStore;
  /** What each run is given. */
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  /** Default `auto`: the fastest that works here and knows all of the step's operations. */
  readonly engine?: 'auto' | EngineName;
  /** Threads of the native engine, 1 to 1024; default 1, as several replicas share a machine. */
  readonly threads?: number;
  /**
   * State entries, float32 [rows, columns], whose products the native engine may compute in int8
   * where they are a right operand: two to four times as fast, for weights that the step only reads.
   * Write them with `state.write`; the first run after that prepares them, which takes tens of milliseconds for a
   * language model of 512 units. Other engines compute in float32. A NaN among the weights shows in the results; one in
   * what they are multiplied with does not.
   */
  readonly int8Weights?: readonly string[];
  /** For the native engine: path and prefix of a file that it writes a profile of all runs to. */
  readonly profilePrefix?: string;
}

/** A step that is ready to run. */
export interface CompiledStep {
  readonly engine: EngineName;
  /**
   * Runs the step once: updates the state, resolves to the outputs. One run at a time over a state. The inputs are
   * copied before this returns.
   * @throws TypeError or RangeError for inputs that don't fit, Error while another run is going on.
   */
  run(inputs: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>>;
  /** Frees the native session; the state stays. */
  dispose(): Promise<void>;
}

/**
 * Compiles a step: traces it once and makes it one native execution, or prepares it for TensorFlow.js.
 * @throws CannotCompileError, EngineUnavailableError, TypeError or RangeError; what the step throws.
 */
export async function compileStep(
  step: StepFunction,
  options: CompileOptions,
): Promise<CompiledStep> {
  checkOptions(options);
  const { inputs, engine = 'auto', threads = 1, int8Weights = [], profilePrefix } = options;
  const state = options.state as StateMemory;
  const job = { step, inputs, state, threads, int8Weights, profilePrefix };
  const trace = (): StepTrace => {
    const traced = traceStep(step, state.specs, inputs);
    refuseNoEffect(traced);
    checkOnlyRead(int8Weights, traced);
    return traced;
  };
  const start = async (name: EngineName, runner: Promise<StepRunner>): Promise<CompiledStep> =>
    new GuardedStep(name, await runner, state, inputs);
  if (engine !== 'auto') {
    const chosen = await prepareEngine(engine);
    const traced = chosen.runs === 'graph' ? trace() : attempt(trace);
    // What a step that can't be traced calls shows when it runs.
    const { graph, ...called } = traced instanceof Error ? nothingKnown : traced;
    checkKernels(engine, chosen, called);
    return start(engine, chosen.createRunner({ ...job, graph, whole: false }));
  }
  const traced = attempt(trace);
  const obstacle = traced instanceof Error ? traced : undefined;
  const { kernels, graph } = obstacle ? nothingKnown : (traced as StepTrace);
  const known = { kernelNames: new Set(kernels.keys()), ...(obstacle && { obstacle }) };
  return startFastest(known, (fastest, name) =>
    start(name, fastest.createRunner({ ...job, graph, whole: true })),
  );
}

/** Of a step that can't be traced. */
const nothingKnown = {
  kernels: new Map<string, never>(),
  places: new Map<string, string>(),
  graph: undefined,
};

/** Checks what comes in and keeps runs apart; the engines rely on both. */
class GuardedStep implements CompiledStep {
  readonly engine: EngineName;
  readonly #runner: StepRunner;
  readonly #state: StateMemory;
  readonly #inputs: Readonly<Record<string, TensorSpec>>;
  readonly #taken: Readonly<Record<string, TensorData>>;
  #running = false;
  #disposed = false;

  constructor(
    engine: EngineName,
    runner: StepRunner,
    state: StateMemory,
    inputs: Readonly<Record<string, TensorSpec>>,
  ) {
    this.engine = engine;
    this.#runner = runner;
    this.#state = state;
    this.#inputs = inputs;
    this.#taken = Object.fromEntries(
      Object.entries(inputs).map(([name, spec]) => [
        name,
        viewOf(spec, new ArrayBuffer(byteLengthOf(spec))),
      ]),
    );
  }

  async run(inputs: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>> {
    if (this.#disposed) throw new Error('The compiled step was run after its dispose().');
    if (typeof inputs !== 'object' || inputs === null) {
      throw new TypeError(
        `run takes an object of inputs by name, but was given ${describe(inputs)}.`,
      );
    }
    for (const [name, spec] of Object.entries(this.#inputs)) {
      checkData(`Input '${name}'`, spec, inputs[name]);
    }
    for (const name of Object.keys(inputs)) {
      if (name in this.#inputs) continue;
      const known = Object.keys(this.#inputs).join(', ') || 'none';
      throw new TypeError(`The step has no input '${name}'; its inputs are: ${known}.`);
    }
    if (this.#running) {
      throw new Error(
        'The compiled step was run while it still runs; await the first run before the next.',
      );
    }
    this.#running = true;
    try {
      this.#take(inputs);
      if (!this.#runner.usesDevice) await this.#state.toHost();
      await this.#state.settled();
      this.#state.acquire('A compiled step');
      try {
        return await this.#runner.run(this.#taken);
      } finally {
        this.#state.release();
      }
    } finally {
      this.#running = false;
    }
  }

  /** Copies what a run is given: engines read it later, when the caller may have the next batch in it. */
  #take(inputs: Readonly<Record<string, TensorData>>): void {
    for (const [name, taken] of Object.entries(this.#taken)) taken.set(inputs[name]!);
  }

  async dispose(): Promise<void> {
    if (this.#running) {
      throw new Error('The compiled step was disposed of while it runs; await the run first.');
    }
    if (this.#disposed) return;
    this.#disposed = true;
    await this.#runner.dispose();
  }
}

const optionNames = ['state', 'inputs', 'engine', 'threads', 'int8Weights', 'profilePrefix'];

function checkOptions(options: CompileOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      `compileStep takes { state, inputs, … } after the step, but was given ${describe(options)}.`,
    );
  }
  checkNames('compileStep', options, optionNames);
  const { state, inputs, engine = 'auto', threads = 1, int8Weights = [] } = options;
  if (!(state instanceof StateMemory)) {
    throw new TypeError('The state of a compiled step must come from createState().');
  }
  state.checkAlive('A step was compiled');
  checkSpecs('Input', inputs);
  if (engine !== 'auto' && !engineNames.some((name) => name === engine)) {
    throw new TypeError(
      `There is no engine '${engine}'; choose 'auto' or one of ${engineNames.join(', ')}.`,
    );
  }
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw new RangeError(`threads is ${threads}; it must be a whole number from 1 to 1024.`);
  }
  for (const name of int8Weights) {
    const spec = state.specs[name];
    if (spec?.dtype === 'float32' && spec.shape.length === 2) continue;
    const what = spec === undefined ? 'no state' : describeSpec(spec);
    throw new TypeError(
      `int8Weights names '${name}', which is ${what}; it takes matrices of float32.`,
    );
  }
}

function checkOnlyRead(int8Weights: readonly string[], { graph }: StepTrace): void {
  const updated = int8Weights.find((name) => graph.outputs.has(statePrefix + name));
  if (updated === undefined) return;
  throw new TypeError(
    `int8Weights names '${updated}', which the step updates; it takes weights that are only read.`,
  );
}

/** @throws CannotCompileError where the engine can't run what the step calls. */
function checkKernels(
  name: EngineName,
  engine: Engine,
  { kernels, places }: Omit<StepTrace, 'graph'>,
): void {
  const [lacking] = engine.lackingKernels(new Set(kernels.keys()));
  if (lacking === undefined) return;
  throw new CannotCompileError(
    `The engine '${name}' lacks the operation '${lacking}', which is called${places.get(lacking)}. ` +
      "Choose the engine 'auto', which is the fastest that has all operations of the step, or 'tfjs-cpu'.",
  );
}

/** What `trace` returns, or the reason why the step can't be compiled; other errors go through. */
function attempt(trace: () => StepTrace): StepTrace | CannotCompileError {
  try {
    return trace();
  } catch (error) {
    if (error instanceof CannotCompileError) return error;
    throw error;
  }
}
