import * as tf from '@tensorflow/tfjs-core';

/** tfjs's optimizers make their moments at their first step. */
const OPTIMIZERS = [
  tf.AdadeltaOptimizer,
  tf.AdagradOptimizer,
  tf.AdamOptimizer,
  tf.AdamaxOptimizer,
  tf.MomentumOptimizer,
  tf.RMSPropOptimizer,
  tf.SGDOptimizer,
].map(({ prototype }) => prototype as object);

/**
 * Runs `body`. Where it fails, the layers and optimizers that it used have the fields that they had before: what they
 * made at their first use is gone, and they make it anew at the next. The values of variables that were there
 * already are the caller's to bring back.
 * @param layerClass the prototype of all layers
 */
export function undoFirstUses<Result>(layerClass: object, body: () => Result): Result {
  const undo = new Map<object, () => void>();
  const remember = (object: object): void => {
    if (!undo.has(object)) undo.set(object, rememberFields(object));
  };
  const originals = [
    watchCalls(layerClass, 'apply', remember),
    // A layer within another one may be built without being applied.
    watchCalls(layerClass, 'addWeight', remember),
    watchCalls(tf.Optimizer.prototype, 'minimize', remember),
    ...OPTIMIZERS.map((optimizer) => watchCalls(optimizer, 'applyGradients', remember)),
  ];
  try {
    return body();
  } catch (error) {
    for (const undoOne of undo.values()) undoOne();
    throw error;
  } finally {
    for (const restore of originals) restore();
  }
}

/** Calls `before` with the object whenever the method of its class is called; answers what ends that. */
function watchCalls(owner: object, name: string, before: (object: object) => void): () => void {
  const methods = owner as Record<string, (...given: unknown[]) => unknown>;
  const original = methods[name]!;
  methods[name] = function (this: object, ...given) {
    before(this);
    return original.apply(this, given);
  };
  return () => {
    methods[name] = original;
  };
}

/** Answers what gives the object the fields that it has now, lists among them with the elements of now. */
function rememberFields(object: object): () => void {
  const fields = Object.getOwnPropertyDescriptors(object) as PropertyDescriptorMap;
  const lists = Object.values(fields)
    .map(({ value }) => value as unknown)
    .filter((value) => Array.isArray(value))
    .map((list) => [list, [...list]] as const);
  return () => {
    for (const key of Object.keys(object)) {
      if (!Object.hasOwn(fields, key)) delete (object as Record<string, unknown>)[key];
    }
    Object.defineProperties(object, fields);
    for (const [list, elements] of lists) list.splice(0, list.length, ...elements);
  };
}
