import * as tf from '@tensorflow/tfjs-core';
import { CannotCompileError } from '../errors.ts';
import { type CompiledStep, type CompileOptions, compileStep } from './compile-step.ts';
import { type Discovery, discover, type TensorFunction } from './discover.ts';
import type { EngineName } from './engine.ts';
import { readVariable, specOf, withVariableValues, writeVariable } from './function-variables.ts';
import {
  type LayerClasses,
  layerStateName,
  layerStateSpecs,
  loadLayerClasses,
  readLayerStates,
  type StatefulLayer,
  withLayerStates,
  writeLayerStates,
} from './layer-states.ts';
import { checkNames, describe } from './option-names.ts';
import { type Draw, fillDraw, replaceDraws, sameDraw } from './random-draws.ts';
import { createState, type StateStore } from './state-store.ts';
import { outputsOf, type StepFunction, type TensorMap } from './step-function.ts';
import { checkSpecs, sizeOf, type TensorData, type TensorSpec } from './tensor-spec.ts';

export interface CompileFunctionOptions
  extends Pick<CompileOptions, 'engine' | 'threads' | 'profilePrefix'> {
  /** Decides all random numbers that the function draws, an integer in 0 … 2⁵³ − 1; default 0. */
  readonly seed?: number;
  /**
   * Works on the variables of a function that was compiled before, in the same memory: what one
   * updates the other reads. They must be all that this function reads or assigns. For functions of which each has
   * variables that the others lack, an optimizer's say, compile one that calls them all, and give that here to each.
   */
  readonly variablesOf?: CompiledFunction;
}

/** A function that runs as one native execution, over variables in native memory. */
export interface CompiledFunction extends CompiledStep {
  /** The values of the variables, by their names, and how often functions ran (`random:calls`). */
  readonly state: StateStore;
  /**
   * Writes the present values into the `tf.Variable`s, where anything else can read them, and what stateful layers
   * carry into the layers.
   */
  sync(): Promise<void>;
  /** Takes over the values that the `tf.Variable`s and stateful layers have now, after `model.resetStates()` say. */
  load(): Promise<void>;
  /** Frees the native session, and the state if it isn't another function's. */
  dispose(): Promise<void>;
}

/** How often functions with random numbers ran over a state: where their next numbers begin. */
const callsEntry = 'random:calls';
const drawPrefix = 'random:';

/**
 * Compiles a function of tensors, written with TensorFlow.js: it is called twice, its operations are
 * recorded, gradients included, optimised and run natively, one call for each run. Variables that
 * it reads or assigns are found and kept in native memory, also those that an optimizer creates, so
 * `optimizer.minimize` and tfjs layers work in it. `signature` fixes shape and type of each input.
 *
 * Tensors of the surrounding code are constants, as is everything that is no tensor: a learning
 * rate, a branch taken. Random operations draw anew at each run, by `seed`; those that have a seed
 * of their own give the same numbers at each run, as they do in TensorFlow.js.
 *
 * @throws CannotCompileError with the operation and the place in the code for what can't be
 * compiled; EngineUnavailableError; TypeError or RangeError for wrong options.
 */
export async function compile<Name extends string>(
  fn: TensorFunction<NoInfer<Name>>,
  signature: Readonly<Record<Name, TensorSpec>>,
  options: CompileFunctionOptions = {},
): Promise<CompiledFunction> {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`compile takes options third, but was given ${describe(options)}.`);
  }
  const { seed = 0, variablesOf, ...stepOptions } = options;
  if (typeof fn !== 'function') {
    throw new TypeError(`compile takes a function first, but was given ${describe(fn)}.`);
  }
  checkSpecs('Input', signature);
  checkNames('compile', options, ['seed', 'variablesOf', 'engine', 'threads', 'profilePrefix']);
  if (variablesOf !== undefined && !(variablesOf instanceof FunctionOverVariables)) {
    throw new TypeError('variablesOf must be what compile() answered.');
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new RangeError(`seed is ${seed}; it must be a whole number from 0 to 2^53 - 1.`);
  }
  const layerClasses = await loadLayerClasses();
  const found = discover(fn, signature, layerClasses);
  const state = variablesOf === undefined ? stateOf(found) : sharedState(found, variablesOf);
  const step = await compileStep(stepOver(fn, found, layerClasses), {
    ...stepOptions,
    state,
    inputs: { ...signature, ...drawSpecs(found.draws) },
  });
  return new FunctionOverVariables(step, state, found, seed, variablesOf === undefined);
}

/** The function as a step: variables are state, what it draws are inputs. */
function stepOver(
  fn: TensorFunction,
  { variables, layers, draws }: Discovery,
  layerClasses: LayerClasses,
): StepFunction {
  return (state, inputs) => {
    let drawn = 0;
    const nextDraw = (draw: Draw): tf.Tensor => {
      const index = drawn++;
      if (sameDraw(draw, draws[index])) return inputs[drawPrefix + index]!;
      throw new CannotCompileError(
        'The function draws other random tensors from call to call; what it draws must depend on ' +
          'its code alone.',
      );
    };
    const given = Object.fromEntries(
      Object.keys(inputs)
        .filter((name) => !name.startsWith(drawPrefix))
        .map((name) => [name, inputs[name]!]),
    );
    const layerStates = new Map(layers.map((layer) => [layer, statesOf(layer, state)] as const));
    const { result, assigned } = withVariableValues(variables, state, () =>
      withLayerStates(layerClasses.stateful, layerStates, () =>
        replaceDraws(nextDraw, () => valuesOf(outputsOf(fn(given)))),
      ),
    );
    return { state: { ...assigned, ...namedStates(result.states) }, outputs: result.result };
  };
}

/** The present value of each variable among what a function returned, which will have another one soon. */
function valuesOf(outputs: TensorMap): TensorMap {
  return Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => [
      name,
      output instanceof tf.Variable ? tf.clone(output) : output,
    ]),
  );
}

function statesOf(layer: StatefulLayer, state: TensorMap): readonly tf.Tensor[] {
  return layer.states_!.map((_, index) => state[layerStateName(layer, index)]!);
}

function namedStates(
  states: ReadonlyMap<StatefulLayer, readonly tf.Tensor[]>,
): Record<string, tf.Tensor> {
  const named = [...states].flatMap(([layer, tensors]) =>
    tensors.map((tensor, index) => [layerStateName(layer, index), tensor] as const),
  );
  return Object.fromEntries(named);
}

function drawSpecs(draws: readonly Draw[]): Record<string, TensorSpec> {
  return Object.fromEntries(
    draws.map(({ shape }, index) => [drawPrefix + index, { shape, dtype: 'float32' as const }]),
  );
}

function stateOf({ variables, layers }: Discovery): StateStore {
  const specs = [...variables].map(([name, variable]) => [name, specOf(variable)] as const);
  const state = createState({
    ...Object.fromEntries([...specs, ...layerStateSpecs(layers)]),
    [callsEntry]: { shape: [], dtype: 'int32' },
  });
  takeOver(state, { variables, layers });
  return state;
}

/** Writes what variables and stateful layers have now into the state. */
function takeOver(
  state: StateStore,
  { variables, layers }: Pick<Discovery, 'variables' | 'layers'>,
): void {
  for (const [name, variable] of variables) state.write(name, readVariable(variable));
  for (const layer of layers) {
    for (const [index, values] of readLayerStates(layer).entries()) {
      state.write(layerStateName(layer, index), values);
    }
  }
}

function sharedState({ variables, layers }: Discovery, { state }: CompiledFunction): StateStore {
  const names = [...variables.keys(), ...layerStateSpecs(layers).map(([name]) => name)];
  const missing = names.filter((name) => !(name in state.specs));
  if (missing.length === 0) return state;
  throw new TypeError(
    `The function uses the variables ${missing.join(', ')}, which the function given as ` +
      'variablesOf doesn’t. Compile the one with more variables first; where each has some of its own, compile a ' +
      'function that calls both, and give that as variablesOf to each.',
  );
}

class FunctionOverVariables implements CompiledFunction {
  readonly engine: EngineName;
  readonly state: StateStore;
  readonly #step: CompiledStep;
  readonly #found: Discovery;
  readonly #seed: number;
  readonly #ownsState: boolean;

  constructor(
    step: CompiledStep,
    state: StateStore,
    found: Discovery,
    seed: number,
    ownsState: boolean,
  ) {
    this.engine = step.engine;
    this.state = state;
    this.#step = step;
    this.#found = found;
    this.#seed = seed;
    this.#ownsState = ownsState;
  }

  async run(inputs: Readonly<Record<string, TensorData>>): Promise<Record<string, TensorData>> {
    const { draws } = this.#found;
    if (draws.length === 0) return this.#step.run(inputs);
    const calls = this.state.read(callsEntry);
    const drawn = draws.map((draw, index) => {
      const values = new Float32Array(sizeOf(draw.shape));
      fillDraw(values, draw, { seed: this.#seed, call: calls[0]!, index });
      return [drawPrefix + index, values] as const;
    });
    const outputs = await this.#step.run({ ...inputs, ...Object.fromEntries(drawn) });
    calls[0]!++;
    return outputs;
  }

  async sync(): Promise<void> {
    await this.state.toHost();
    const { variables, layers } = this.#found;
    for (const [name, variable] of variables) writeVariable(variable, this.state.read(name));
    for (const layer of layers) {
      writeLayerStates(layer, (index) => this.state.read(layerStateName(layer, index)));
    }
  }

  async load(): Promise<void> {
    await this.state.toHost();
    takeOver(this.state, this.#found);
  }

  async dispose(): Promise<void> {
    await this.#step.dispose();
    if (this.#ownsState) this.state.dispose();
  }
}
