import * as v from 'valibot';

/** An entry of a plan: what it may be, what it is when nobody says, and what it is for. */
export function option<Schema extends v.GenericSchema>(
  schema: Schema,
  fallback: v.InferInput<Schema>,
  description: string,
) {
  return v.pipe(v.optional(schema, fallback as never), v.description(description));
}

/** An entry that may be left out. */
export function extra<Schema extends v.GenericSchema>(schema: Schema, description: string) {
  return v.pipe(v.exactOptional(schema), v.description(description));
}

export function whole(least: number, most: number) {
  return v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(most));
}

export function positive() {
  return v.pipe(v.number(), v.gtValue(0));
}

export function notNegative() {
  return v.pipe(v.number(), v.minValue(0));
}

/** A share, from 0 on and below 1. */
export function share() {
  return v.pipe(v.number(), v.minValue(0), v.ltValue(1));
}
