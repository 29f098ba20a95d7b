import {
  byteLengthOf,
  checkData,
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
   * between steps (`.set(…)`) is what the next step reads. Valid until `dispose`; where the engine has a memory of
   * its own (`onnx-webgpu`) until the next run, which takes the entry there.
   * @throws RangeError when there is no such entry, Error after `dispose` and while the entry is on a
   *   device: await `toHost` first.
   */
  read(name: string): Float32Array | Int32Array | Uint8Array;
  /**
   * Replaces an entry's values between steps. What a step holds in another precision (see
   * `int8Weights`) follows this, but not what is written to a view.
   * @throws RangeError when there is no such entry or `values` have another length, TypeError when they are of another
   * type than the entry.
   */
  write(name: string, values: TensorData): void;
  /**
   * Brings entries (default: all) back from the memory of a device, where an engine keeps them between
   * runs; nothing to do where none does. Waits for a run that is going on.
   * @throws RangeError when there is no such entry.
   */
  toHost(names?: readonly string[]): Promise<void>;
  /** Gives the memory back; views and compiled steps over this state must not be used after. */
  dispose(): void;
}

/** Creates a state of zeros. @throws TypeError or RangeError when a specification is impossible. */
export function createState(specs: Readonly<Record<string, TensorSpec>>): StateStore {
  return new StateMemory(specs);
}

/** The values of one entry in the memory of a device. */
export interface DeviceValues {
  download(): Promise<TensorData>;
  free(): void;
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
  readonly #onDevice = new Map<string, DeviceValues>();
  #user: string | undefined;
  #released = Promise.withResolvers<void>();
  #reading = false;

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
    const view = this.#viewOf(name);
    if (!this.#onDevice.has(name)) return view;
    throw new Error(`State '${name}' is on the engine's device: await state.toHost() to read it.`);
  }

  write(name: string, values: TensorData): void {
    const view = this.#viewOf(name);
    checkData(`State '${name}'`, this.specs[name]!, values);
    // What a device has of it is out of date now.
    this.keepOnDevice(name, undefined);
    view.set(values);
    this.#versions.set(name, this.versionOf(name) + 1);
  }

  async toHost(names: readonly string[] = [...this.#onDevice.keys()]): Promise<void> {
    for (const name of names) this.#viewOf(name);
    if (!names.some((name) => this.#onDevice.has(name))) return;
    while (this.#user !== undefined) await this.#released.promise;
    this.#user = 'toHost';
    this.#reading = true;
    try {
      for (const name of names) {
        const values = await this.#onDevice.get(name)?.download();
        this.keepOnDevice(name, undefined);
        if (values !== undefined) this.read(name).set(values);
      }
    } finally {
      this.#reading = false;
      this.release();
    }
  }

  /** What a device has of the entry; undefined where the values in host memory are the newest. */
  onDevice(name: string): DeviceValues | undefined {
    return this.#onDevice.get(name);
  }

  /** Says where the newest values of an entry are now, and frees what was there before. */
  keepOnDevice(name: string, values: DeviceValues | undefined): void {
    this.#onDevice.get(name)?.free();
    if (values === undefined) this.#onDevice.delete(name);
    else this.#onDevice.set(name, values);
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

  /** Resolves when nothing is read out any more. */
  async settled(): Promise<void> {
    while (this.#reading) await this.#released.promise;
  }

  /** @throws Error after `dispose`. */
  checkAlive(what: string): void {
    if (this.#disposed) throw new Error(`${what} after its state's dispose().`);
  }

  /** Marks the state as in use by a running step. @throws Error while another one runs. */
  acquire(user: string): void {
    this.checkAlive(`${user} ran`);
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
    this.#released.resolve();
    this.#released = Promise.withResolvers();
  }

  dispose(): void {
    if (this.#user !== undefined) {
      throw new Error(`The state was disposed of while ${this.#user} runs; await it first.`);
    }
    this.#disposed = true;
    for (const name of this.#onDevice.keys()) this.keepOnDevice(name, undefined);
    this.#views = new Map();
    this.#scratch = undefined;
    Object.assign(this, { memory: undefined });
  }

  #viewOf(name: string): TensorData {
    if (this.#disposed) throw new Error(`State '${name}' was read after the state's dispose().`);
    const view = this.#views.get(name);
    if (view !== undefined) return view;
    throw new RangeError(
      `There is no state '${name}'; there are: ${Object.keys(this.specs).join(', ')}.`,
    );
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
