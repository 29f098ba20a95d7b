import { rounded } from './tensor-delta.ts';

/**
 * How exact teachers are. `int8`: their products are computed so, in about half the time, where the engine can.
 * `f16` and `int4`: their matrices are rounded so, `int4` with one scale for each row, and computed with in f32.
 */
export type TeacherPrecision = 'f32' | 'f16' | 'int8' | 'int4';
export const teacherPrecisions: readonly TeacherPrecision[] = ['f32', 'f16', 'int8', 'int4'];

/** One of a teacher's tensors as it is computed with; `int8` is the engine's own affair. */
export function atPrecision(
  precision: TeacherPrecision,
  values: Float32Array,
  shape: readonly number[],
): Float32Array {
  if (precision === 'f32' || precision === 'int8' || shape.length < 2) return values;
  return rounded(precision, values, shape.at(-1) ?? 1);
}
