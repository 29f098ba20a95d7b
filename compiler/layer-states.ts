import * as tf from '@tensorflow/tfjs-core';
import { specOf } from './function-variables.ts';
import { byteLengthOf, type TensorData, type TensorSpec, viewOf } from './tensor-spec.ts';

/** Of tfjs's recurrent layers: what one that is stateful carries from call to call are tensors, not variables. */
export interface StatefulLayer {
  readonly name: string;
  states_: tf.Tensor[] | undefined;
  /** Called by the layer itself at the end of each call, and by users, who give nothing and mean zeros. */
  resetStates(states?: tf.Tensor | readonly tf.Tensor[] | null, training?: boolean): void;
}

/** Classes of tfjs-layers, by their prototypes. */
export interface LayerClasses {
  /** That of all layers. */
  readonly layer: object;
  /** Those that have such states. */
  readonly stateful: readonly StatefulLayer[];
}

export async function loadLayerClasses(): Promise<LayerClasses> {
  const { RNN, layers } = await import('@tensorflow/tfjs-layers');
  // Its class isn't exported. A name of its own leaves tfjs's count of names as it is.
  const convolutional = layers.convLstm2d({ filters: 1, kernelSize: 1, name: 'unused' });
  const ancestors = [RNN.prototype, Object.getPrototypeOf(Object.getPrototypeOf(convolutional))];
  return { layer: layers.Layer.prototype, stateful: ancestors as unknown as StatefulLayer[] };
}

/**
 * Runs `body` while the layers have the given states. Answers what it returned and the states that layers have
 * then, those of layers that were not given too. The layers themselves are as before when this returns.
 */
export function withLayerStates<Result>(
  classes: readonly StatefulLayer[],
  given: ReadonlyMap<StatefulLayer, readonly tf.Tensor[]>,
  body: () => Result,
): {
  readonly result: Result;
  readonly states: ReadonlyMap<StatefulLayer, readonly tf.Tensor[]>;
} {
  const originals = new Map<StatefulLayer, tf.Tensor[]>();
  const kept: tf.Tensor[] = [];
  const lend = (layer: StatefulLayer, states: readonly tf.Tensor[]): void => {
    if (!originals.has(layer)) originals.set(layer, layer.states_!);
    layer.states_ = [...states];
  };
  const restoreClasses = replaceResets(classes, (layer, states) => {
    const next = states ?? layer.states_!.map((state) => tf.zerosLike(state));
    // The layer is in a tidy of its own.
    const copies = next.map((state) => tf.keep(tf.clone(state)));
    kept.push(...copies);
    lend(layer, copies);
  });
  try {
    for (const [layer, states] of given) lend(layer, states);
    const result = body();
    const states = [...originals.keys()].map(
      (layer) => [layer, layer.states_!.map((state) => tf.clone(state))] as const,
    );
    return { result, states: new Map(states) };
  } finally {
    restoreClasses();
    for (const [layer, original] of originals) layer.states_ = original;
    tf.dispose(kept);
  }
}

function replaceResets(
  classes: readonly StatefulLayer[],
  onReset: (layer: StatefulLayer, states: readonly tf.Tensor[] | undefined) => void,
): () => void {
  const originals = classes.map(({ resetStates }) => resetStates);
  for (const [index, each] of classes.entries()) {
    each.resetStates = function (this: StatefulLayer, states, training) {
      // A layer that is being built.
      if (!this.states_) return originals[index]!.call(this, states, training);
      onReset(this, states ? ([states].flat() as tf.Tensor[]) : undefined);
    };
  }
  return () => {
    for (const [index, each] of classes.entries()) each.resetStates = originals[index]!;
  };
}

/** Names and specifications of the state entries for what layers carry. */
export function layerStateSpecs(
  layers: Iterable<StatefulLayer>,
): readonly (readonly [name: string, spec: TensorSpec])[] {
  return [...layers].flatMap((layer) =>
    layer.states_!.map((state, index) => [layerStateName(layer, index), specOf(state)] as const),
  );
}

export function layerStateName({ name }: StatefulLayer, index: number): string {
  return `${name}/states/${index}`;
}

export function readLayerStates(layer: StatefulLayer): readonly TensorData[] {
  return layer.states_!.map((state) => {
    const spec = specOf(state);
    const copy = viewOf(spec, new ArrayBuffer(byteLengthOf(spec)));
    copy.set(state.dataSync() as TensorData);
    return copy;
  });
}

/** Gives a layer copies of what `read` has for each of its states. */
export function writeLayerStates(layer: StatefulLayer, read: (index: number) => TensorData): void {
  tf.tidy(() => {
    const states = layer.states_!.map(({ shape }, index) => tf.tensor(read(index).slice(), shape));
    layer.resetStates(states);
  });
}
