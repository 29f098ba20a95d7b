import type { FusedUpdate } from './fused-update.ts';
import { alignSlot, type StateMemory } from './state-store.ts';
import { sizeOf } from './tensor-spec.ts';
import { statePrefix } from './trace-step.ts';
import { type ElementwiseProgram, emitElementwiseModule } from './wasm-module.ts';

type Run = (byteLength: number, ...addressesAndScalars: readonly number[]) => void;

interface BoundUpdate {
  readonly run: Run;
  readonly byteLength: number;
  readonly addresses: readonly number[];
  readonly scalars: readonly string[];
}

/** Where the native run leaves each tensor that the fused updates read, in the scratch memory. */
export interface ScratchSlot {
  readonly key: string;
  readonly byteOffset: number;
}

/** Fused updates, compiled to WebAssembly and bound to the state's memory. */
export class UpdateRunner {
  readonly slots: readonly ScratchSlot[];
  readonly scratch: WebAssembly.Memory;
  readonly #updates: readonly BoundUpdate[];

  private constructor(
    slots: readonly ScratchSlot[],
    scratch: WebAssembly.Memory,
    updates: readonly BoundUpdate[],
  ) {
    this.slots = slots;
    this.scratch = scratch;
    this.#updates = updates;
  }

  static async create(updates: readonly FusedUpdate[], state: StateMemory): Promise<UpdateRunner> {
    const slots = placeSlots(updates);
    const scratch = state.scratch(slots.end);
    if (state.memory === undefined || scratch === undefined) {
      throw new RangeError('Fused updates need the state and its scratch in WebAssembly memory.');
    }
    const memories = [state.memory, scratch] as const;
    const addressOf = (key: string) =>
      key.startsWith(statePrefix)
        ? state.offsetOf(key.slice(statePrefix.length))
        : slots.byKey.get(key)!.byteOffset;
    // Parameters of one model go through the same program: it is compiled once.
    const compiled = new Map<string, Promise<Run>>();
    const bound = updates.map(async (update): Promise<BoundUpdate> => {
      const shape = JSON.stringify(update.program);
      const run = compiled.get(shape) ?? compile(update.program, memories);
      compiled.set(shape, run);
      return {
        run: await run,
        byteLength: alignSlot(4 * sizeOf(update.shape)),
        addresses: update.tensors.map(addressOf),
        scalars: update.scalars,
      };
    });
    return new UpdateRunner([...slots.byKey.values()], scratch, await Promise.all(bound));
  }

  /** Applies all updates to the state. `scalarOf` gives the outputs `update:<n>` of one element. */
  run(scalarOf: (key: string) => number): void {
    for (const { run, byteLength, addresses, scalars } of this.#updates) {
      run(byteLength, ...addresses, ...scalars.map(scalarOf));
    }
  }
}

function placeSlots(updates: readonly FusedUpdate[]): {
  readonly byKey: ReadonlyMap<string, ScratchSlot>;
  readonly end: number;
} {
  const byKey = new Map<string, ScratchSlot>();
  let end = 0;
  for (const { tensors, shape } of updates) {
    for (const key of tensors) {
      if (key.startsWith(statePrefix) || byKey.has(key)) continue;
      byKey.set(key, { key, byteOffset: end });
      end += alignSlot(4 * sizeOf(shape));
    }
  }
  return { byKey, end };
}

async function compile(
  program: ElementwiseProgram,
  [state, scratch]: readonly [WebAssembly.Memory, WebAssembly.Memory],
): Promise<Run> {
  const imports = { m: { 0: state, 1: scratch } };
  const { instance } = await WebAssembly.instantiate(emitElementwiseModule(program), imports);
  return instance.exports.run as Run;
}
