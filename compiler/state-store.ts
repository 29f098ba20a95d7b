import {
  byteLengthOf,
  checkSpec,
  type TensorData,
  type TensorSpec,
  viewOf,
} from './tensor-spec.ts';

/** Weights, optimizer moments, recurrent state: what outlives a step, kept outside of its graph. */
export interface StateStore {
  readonly specs: Readonly<Record<string, TensorSpec>>;
  /**
   * A view of one entry, not a copy: what a step updates shows in it, and what is written to it
   * between steps (`.set(…)`) is what the next step reads. Valid until `dispose`.
   * @throws RangeError when there is no such entry, Error after `dispose`.
   */
  read(name: string): Float32Array | Int32Array | Uint8Array;
  /**
   * Replaces an entry's values between steps. What a step holds in another precision (see
   * `int8Weights`) follows this, but not what is written to a view.
   * @throws RangeError when there is no such entry or `values` have another length.
   */
  write(name: string, values: ArrayLike<number>): void;
  /** Gives the memory back; views and compiled steps over this state must not be used after. */
  dispose(): void;
}

/** Creates a state of zeros. @throws TypeError or RangeError when a specification is impossible. */
export function createState(specs: Readonly<Record<string, TensorSpec>>): StateStore {
  return new StateMemory(specs);
}

/** Cache lines; vector loads then never straddle two, and kernels may run over a slot's padding. */
const SLOT_ALIGNMENT_BYTES = 64;
const PAGE_BYTES = 65_536;
const WASM_PAGES_MAX = 65_536;

/**
 * All entries in one WebAssembly memory, so that native code and WebAssembly kernels work on the same
 * bytes without a copy. Where 4 GiB don't suffice each entry gets an ArrayBuffer of its own, and
 * updates stay in the graph.
 */
export class StateMemory implements StateStore {
  readonly specs: Readonly<Record<string, TensorSpec>>;
  readonly memory: WebAssembly.Memory | undefined;
  readonly #offsets = new Map<string, number>();
  readonly #versions = new Map<string, number>();
  #views = new Map<string, TensorData>();
  #scratch: WebAssembly.Memory | undefined;
  #disposed = false;
  #user: string | undefined;

  constructor(specs: Readonly<Record<string, TensorSpec>>) {
    let byteLength = 0;
    for (const [name, spec] of Object.entries(specs)) {
      checkSpec(`State '${name}'`, spec);
      this.#offsets.set(name, byteLength);
      byteLength += alignSlot(byteLengthOf(spec));
    }
    this.specs = Object.freeze({ ...specs });
    this.memory = allocateMemory(byteLength);
    for (const [name, spec] of Object.entries(specs)) {
      const buffer = this.memory?.buffer ?? new ArrayBuffer(byteLengthOf(spec));
      this.#views.set(name, viewOf(spec, buffer, this.memory ? this.offsetOf(name) : 0));
    }
  }

  read(name: string): TensorData {
    if (this.#disposed) throw new Error(`State '${name}' was read after the state's dispose().`);
    const view = this.#views.get(name);
    if (view === undefined) {
      throw new RangeError(
        `There is no state '${name}'; there are: ${Object.keys(this.specs).join(', ')}.`,
      );
    }
    return view;
  }

  write(name: string, values: ArrayLike<number>): void {
    const view = this.read(name);
    if (values.length !== view.length) {
      throw new RangeError(
        `State '${name}' has ${view.length} elements, but ${values.length} were written to it.`,
      );
    }
    view.set(values);
    this.#versions.set(name, this.versionOf(name) + 1);
  }

  /** How often the entry was written to. */
  versionOf(name: string): number {
    return this.#versions.get(name) ?? 0;
  }

  /** Where the entry begins in `memory`, in bytes. */
  offsetOf(name: string): number {
    return this.#offsets.get(name)!;
  }

  /**
   * Memory for values that live from the end of a native run to the end of the step, shared by all
   * steps over this state (they never run at once). It may have moved since the last call: views on
   * it are made anew when its `buffer` is another one.
   */
  scratch(byteLength: number): WebAssembly.Memory | undefined {
    if (this.memory === undefined) return undefined;
    const missing = byteLength - (this.#scratch?.buffer.byteLength ?? 0);
    if (this.#scratch === undefined) this.#scratch = allocateMemory(byteLength);
    else if (missing > 0) this.#scratch.grow(Math.ceil(missing / PAGE_BYTES));
    return this.#scratch;
  }

  /** Marks the state as in use by a running step. @throws Error while another one runs. */
  acquire(user: string): void {
    if (this.#disposed) throw new Error(`${user} ran after its state's dispose().`);
    if (this.#user !== undefined) {
      throw new Error(
        `${user} was started while ${this.#user} still runs on the same state; ` +
          'await the first run before starting the next.',
      );
    }
    this.#user = user;
  }

  release(): void {
    this.#user = undefined;
  }

  dispose(): void {
    if (this.#user !== undefined) {
      throw new Error(`The state was disposed of while ${this.#user} runs; await it first.`);
    }
    this.#disposed = true;
    this.#views = new Map();
    this.#scratch = undefined;
    Object.assign(this, { memory: undefined });
  }
}

export function alignSlot(byteLength: number): number {
  return Math.ceil(byteLength / SLOT_ALIGNMENT_BYTES) * SLOT_ALIGNMENT_BYTES;
}

function allocateMemory(byteLength: number): WebAssembly.Memory | undefined {
  const initial = Math.max(1, Math.ceil(byteLength / PAGE_BYTES));
  if (initial > WASM_PAGES_MAX) return undefined;
  try {
    return new WebAssembly.Memory({ initial });
  } catch (error) {
    // A host that limits address space refuses the reservation; plain buffers still work there.
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}
