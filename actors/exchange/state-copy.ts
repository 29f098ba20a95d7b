import type { StateStore } from '../../compiler/index.ts';
import { DamagedDataError } from '../../errors.ts';

/** A compiled step's state as a checkpoint holds it, by name. */
export type StateCopy = Readonly<Record<string, Float32Array>>;

/** Copies the entries called `names`. */
export async function readState(store: StateStore, names: readonly string[]): Promise<StateCopy> {
  await store.toHost(names);
  return Object.fromEntries(
    names.map((name) => [name, store.read(name).slice() as Float32Array] as const),
  );
}

/** @throws DamagedDataError when `copy` is of another model than that of `owner`. */
export function writeState(
  store: StateStore,
  names: readonly string[],
  copy: StateCopy,
  owner: string,
): void {
  for (const name of names) {
    const values = copy[name];
    const length = store.read(name).length;
    if (values?.length !== length) {
      throw new DamagedDataError(
        `checkpoint of ${owner} has ${values?.length ?? 'no'} values for ${name}, ` +
          `the model has ${length}: it was written with other model options`,
      );
    }
    store.write(name, values);
  }
}
