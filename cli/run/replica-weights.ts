import { join } from 'node:path';
import * as v from 'valibot';
import { type GroupFile, readGroupFile } from '../../actors/index.ts';
import { DamagedDataError, UserInputError } from '../../errors.ts';
import { createFileCheckpointStore, decodeFrame } from '../../runtime/index.ts';
import { createModel, type ModelConfig, weightShapes } from '../../training/index.ts';

/** A replica of a run as of its last checkpoint. */
export interface ReplicaWeights {
  readonly group: GroupFile;
  readonly name: string;
  readonly config: ModelConfig;
  readonly step: number;
  /** By the names of the model's `weightShapes`. */
  readonly weights: Readonly<Record<string, Float32Array>>;
}

const checkpointSchema = v.looseObject({
  step: v.number(),
  state: v.record(v.string(), v.instance(Float32Array)),
});

/**
 * Reads the replica called `name` of the run in `directory`, the first one without it.
 * @throws UserInputError when the run has no such replica, or that no checkpoint yet; DamagedDataError.
 */
export async function readReplicaWeights(
  directory: string,
  name?: string,
): Promise<ReplicaWeights> {
  const group = await readGroupFile(directory);
  if (group === undefined) {
    throw new UserInputError(`${directory} is no run of a codistillation group: it has no models.`);
  }
  const names = group.replicas.map((replica) => replica.name);
  const replica = group.replicas.find((each) => each.name === (name ?? names[0]));
  if (replica === undefined) {
    throw new UserInputError(`${directory} has no ${name}: it has ${names.join(', ')}.`);
  }
  const store = createFileCheckpointStore(join(directory, 'checkpoints'));
  const bytes = await store.load(replica.name);
  if (bytes === undefined) {
    throw new UserInputError(
      `${directory} has no checkpoint of ${replica.name} yet: let it reach its first one.`,
    );
  }
  const checkpoint = v.safeParse(checkpointSchema, decodeFrame(bytes));
  if (!checkpoint.success) {
    throw new DamagedDataError(`the checkpoint of ${replica.name} in ${directory} has no weights`);
  }
  const { step, state } = checkpoint.output;
  const weights: Record<string, Float32Array> = {};
  for (const [weight, shape] of Object.entries(weightShapes(createModel(replica.model)))) {
    const values = state[`student/${weight}`];
    const length = shape.reduce((product, size) => product * size, 1);
    if (values?.length !== length) {
      throw new DamagedDataError(
        `the checkpoint of ${replica.name} in ${directory} has ${values?.length ?? 'no'} values of ${weight}, ` +
          `expected ${length}`,
      );
    }
    weights[weight] = values;
  }
  return { group, name: replica.name, config: replica.model, step, weights };
}
