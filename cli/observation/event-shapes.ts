import * as v from 'valibot';
import type { JobEvent } from '../../runtime/index.ts';

/** A figure that an event may leave out. */
export type Figure = number | null | undefined;

export interface StepEvent {
  readonly type: 'step';
  readonly replica: string | number;
  /** Steps that are done, counted from 1. */
  readonly step: number;
  readonly steps?: Figure;
  /** Nats per token. */
  readonly loss: number;
  readonly distillLoss?: Figure;
  readonly stalenessSteps?: Figure;
  /** Texts have tokens, other data examples. */
  readonly tokensPerSecond?: Figure;
  readonly examplesPerSecond?: Figure;
  readonly bytesExchanged?: Figure;
}

export interface EvaluationEvent {
  readonly type: 'evaluation';
  readonly step: number;
  /** Nats per held-out token, in the replicas' order. */
  readonly losses: readonly number[];
  /** The step of each replica's weights; absent: all are of `step`. */
  readonly versions?: readonly number[] | undefined;
  readonly ensembleLoss?: Figure;
  readonly disagreement?: Figure;
}

export interface PrepareEvent {
  readonly type: 'prepare';
  readonly phase: string;
  readonly done: number;
  readonly total?: Figure;
}

export interface ActorEventShape {
  readonly type: 'actor';
  /** `drained`: it saved its state, and the next life of its job goes on from that. */
  readonly event: 'started' | 'restarted' | 'died' | 'drained';
  readonly actor: string;
  readonly cause?: { readonly kind: string; readonly message?: string | undefined } | undefined;
}

export interface WarningEvent {
  readonly type: 'warning';
  readonly message: string;
}

export interface ResultEvent {
  readonly type: 'result';
  readonly steps?: Figure;
  readonly tokens?: Figure;
  readonly examples?: Figure;
  readonly wallMs?: Figure;
  readonly firstStepMs?: Figure;
  readonly unigramLoss?: Figure;
  /** Of data with a known structure: that of the best possible prediction. */
  readonly bayesLoss?: Figure;
  readonly replicas: readonly ReplicaResult[];
  readonly ensembleLoss?: Figure;
  readonly ensembleAccuracy?: Figure;
  readonly ensembleAuc?: Figure;
  /** Those on the way, before the last one. */
  readonly evaluations?: { readonly done?: Figure; readonly skipped?: Figure } | undefined;
  readonly exchange?:
    | {
        readonly count?: Figure;
        readonly bytes?: Figure;
        readonly fullBytes?: Figure;
        /** Between workers and their parameter server, both ways. */
        readonly workersBytes?: Figure;
        /** Of teachers that answer with predictions. */
        readonly predictionsBytes?: Figure;
      }
    | undefined;
  /** Sums over the replicas. */
  readonly waits?:
    | { readonly dataMs?: Figure; readonly exchangeMs?: Figure; readonly computeMs?: Figure }
    | undefined;
}

export interface ReplicaResult {
  readonly name: string | number;
  readonly valLoss?: Figure;
  /** Of texts. */
  readonly perplexity?: Figure;
  /** Of examples. */
  readonly accuracy?: Figure;
  /** Of examples of two classes. */
  readonly auc?: Figure;
  readonly tokensPerSecond?: Figure;
  readonly examplesPerSecond?: Figure;
  readonly stalenessStepsMean?: Figure;
  readonly stalenessStepsMax?: Figure;
}

/** How fast a replica trains, and what is counted. */
export interface Speed {
  readonly unit: 'tokens' | 'examples';
  readonly perSecond: number;
}

export function speedOf(
  event: Pick<StepEvent, 'tokensPerSecond' | 'examplesPerSecond'>,
): Speed | undefined {
  const { tokensPerSecond, examplesPerSecond } = event;
  if (tokensPerSecond != null) return { unit: 'tokens', perSecond: tokensPerSecond };
  if (examplesPerSecond != null) return { unit: 'examples', perSecond: examplesPerSecond };
  return undefined;
}

/** The events that the displays know; a job may emit any others. */
export type KnownEvent =
  | StepEvent
  | EvaluationEvent
  | PrepareEvent
  | ActorEventShape
  | WarningEvent
  | ResultEvent;

/**
 * The event as the displays know it, or undefined for one that only its job understands. It is parsed
 * because a user's own job may give one of these names to something else.
 */
export function recogniseEvent(event: JobEvent): KnownEvent | undefined {
  const schema = schemas.get(event.type);
  if (schema === undefined) return undefined;
  const result = v.safeParse(schema, event);
  return result.success ? result.output : undefined;
}

const name = v.union([v.string(), v.number()]);
const figure = v.optional(v.nullable(v.number()));

const schemas: ReadonlyMap<string, v.GenericSchema<unknown, KnownEvent>> = new Map<
  string,
  v.GenericSchema<unknown, KnownEvent>
>([
  [
    'step',
    v.object({
      type: v.literal('step'),
      replica: name,
      step: v.number(),
      steps: figure,
      loss: v.number(),
      distillLoss: figure,
      stalenessSteps: figure,
      tokensPerSecond: figure,
      examplesPerSecond: figure,
      bytesExchanged: figure,
    }),
  ],
  [
    'evaluation',
    v.object({
      type: v.literal('evaluation'),
      step: v.number(),
      losses: v.array(v.number()),
      versions: v.optional(v.array(v.number())),
      ensembleLoss: figure,
      disagreement: figure,
    }),
  ],
  [
    'prepare',
    v.object({ type: v.literal('prepare'), phase: v.string(), done: v.number(), total: figure }),
  ],
  [
    'actor',
    v.object({
      type: v.literal('actor'),
      event: v.picklist(['started', 'restarted', 'died', 'drained']),
      actor: v.string(),
      cause: v.optional(v.object({ kind: v.string(), message: v.optional(v.string()) })),
    }),
  ],
  ['warning', v.object({ type: v.literal('warning'), message: v.string() })],
  [
    'result',
    v.object({
      type: v.literal('result'),
      steps: figure,
      tokens: figure,
      examples: figure,
      wallMs: figure,
      firstStepMs: figure,
      unigramLoss: figure,
      bayesLoss: figure,
      replicas: v.array(
        v.object({
          name,
          valLoss: figure,
          perplexity: figure,
          accuracy: figure,
          auc: figure,
          tokensPerSecond: figure,
          examplesPerSecond: figure,
          stalenessStepsMean: figure,
          stalenessStepsMax: figure,
        }),
      ),
      ensembleLoss: figure,
      ensembleAccuracy: figure,
      ensembleAuc: figure,
      evaluations: v.optional(v.object({ done: figure, skipped: figure })),
      exchange: v.optional(
        v.object({
          count: figure,
          bytes: figure,
          fullBytes: figure,
          workersBytes: figure,
          predictionsBytes: figure,
        }),
      ),
      waits: v.optional(v.object({ dataMs: figure, exchangeMs: figure, computeMs: figure })),
    }),
  ],
]);
