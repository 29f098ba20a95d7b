import * as v from 'valibot';
import { type Served, servedChoices } from './churn.ts';
import { measureNames } from './measures.ts';

/** The options of a job that a study sets, as `--set` would name them. */
export type StudyOptions = Readonly<Record<string, OptionValue>>;
export type OptionValue = string | number | boolean | null | readonly (string | number)[];

/** One way to train; the study compares it with the others. */
export interface Arm {
  /** Names its folder and its rows. */
  readonly name: string;
  /** What sets it apart from the base. */
  readonly options: StudyOptions;
  /** Runs this job in place of the study's. */
  readonly job?: string | undefined;
  /** Its loss is that of this replica, counted from 1, not the mean of all. */
  readonly replica?: number | undefined;
  /** Of its saved predictions; the first replica's unless said. */
  readonly served?: Served | undefined;
}

/** A question, and the runs that answer it: each arm with each seed. Plain data, so a file of yours can hold one. */
export interface Study {
  readonly name: string;
  readonly question: string;
  /** An example's name, or the path of a job's file. */
  readonly job: string;
  /** Of all arms. */
  readonly options: StudyOptions;
  /** What `--scale full` changes in them. */
  readonly full: StudyOptions;
  readonly arms: readonly Arm[];
  /** The arm that the others are compared with, seed by seed. */
  readonly baseline: string;
  /** Runs of each arm. */
  readonly seeds: number;
  /** What is measured, the most important first. */
  readonly measures: readonly (typeof measureNames)[number][];
  /** For `stepsToTarget`: the loss to be reached is the final one of this arm with the same seed. */
  readonly targetArm?: string | undefined;
  /** Of several settings the best is chosen on half of the held-out rows, and all are judged on the other half. */
  readonly choice?: Choice | undefined;
  /** What to bear in mind with the figures. */
  readonly notes: readonly string[];
}

/** The arm with the least of one measure among those that aren't above the baseline in another. */
export interface Choice {
  readonly among: readonly string[];
  readonly least: (typeof measureNames)[number];
  readonly notAbove: (typeof measureNames)[number];
}

export const scales = ['small', 'full'] as const;
export type Scale = (typeof scales)[number];

const nameSchema = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9.-]{0,63}$/, 'up to 64 lower-case letters, digits, dots and dashes'),
);
const optionsSchema = v.record(
  v.string(),
  v.union([
    v.string(),
    v.number(),
    v.boolean(),
    v.null(),
    v.array(v.union([v.string(), v.number()])),
  ]),
);

/** Checks a study from a file. */
export const studySchema: v.GenericSchema<unknown, Study> = v.pipe(
  v.strictObject({
    name: nameSchema,
    question: v.string(),
    job: v.string(),
    options: v.optional(optionsSchema, {}),
    full: v.optional(optionsSchema, {}),
    arms: v.pipe(
      v.array(
        v.strictObject({
          name: nameSchema,
          options: optionsSchema,
          job: v.optional(v.string()),
          replica: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
          served: v.optional(v.picklist(servedChoices)),
        }),
      ),
      v.minLength(1),
      v.maxLength(100),
    ),
    baseline: v.string(),
    seeds: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)),
    measures: v.pipe(v.array(v.picklist(measureNames)), v.minLength(1)),
    targetArm: v.optional(v.string()),
    choice: v.optional(
      v.strictObject({
        among: v.pipe(v.array(v.string()), v.minLength(1)),
        least: v.picklist(measureNames),
        notAbove: v.picklist(measureNames),
      }),
    ),
    notes: v.optional(v.array(v.string()), []),
  }),
  v.check(
    ({ arms }) => new Set(arms.map(({ name }) => name)).size === arms.length,
    'two arms have one name',
  ),
  v.check(
    ({ arms, baseline }) => arms.some(({ name }) => name === baseline),
    'baseline names no arm',
  ),
  v.check(
    ({ arms, choice }) =>
      (choice?.among ?? []).every((chosen) => arms.some(({ name }) => name === chosen)),
    'choice.among names no arm',
  ),
  v.check(
    ({ measures, choice }) =>
      choice === undefined ||
      (measures.includes(choice.least) && measures.includes(choice.notAbove)),
    'choice needs measures of the study',
  ),
  v.check(
    ({ arms, measures, targetArm }) =>
      measures.includes('stepsToTarget')
        ? arms.some(({ name }) => name === targetArm)
        : targetArm === undefined,
    'stepsToTarget needs a targetArm that is one of the arms, and nothing else does',
  ),
);
