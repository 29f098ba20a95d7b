import type { JobExplanation } from '../../runtime/index.ts';
import {
  createModel,
  createTrainingStep,
  createUpdateStep,
  forwardFlop,
  type Model,
  weightShapes,
} from '../../training/index.ts';
import { deltaBytesAbout } from '../exchange/tensor-delta.ts';
import type { WeightShapes } from '../exchange/weight-delta.ts';
import type { GroupPlan, ReplicaPlan } from '../group-plan.ts';
import {
  branchesOf,
  branchName,
  snapshotNodes,
  trainerNode,
  versionsKept,
  workerName,
} from '../placement.ts';
import { trainersOf } from '../workers/workers-plan.ts';
import { firstTaughtStep, planWarnings } from './plan-warnings.ts';

const BYTES_PER_VALUE = 4;

export interface Surroundings {
  /** Hosts that take actors; the job's own is the first. */
  readonly nodes: number;
  /** Of one replica: billions of floating-point operations a second. */
  readonly gflops: number;
}

/** What a group would do: its models, where its actors go, their memory, their work and what travels between them. */
export function explainGroupPlan(plan: GroupPlan, surroundings: Surroundings): JobExplanation {
  return {
    tables: [
      replicaTable(plan, surroundings),
      actorTable(plan, surroundings),
      linkTable(plan, surroundings),
    ],
    warnings: planWarnings(plan),
    notes: [
      ...precisionNotes(plan),
      `FLOP are those of products. Minutes assume ${surroundings.gflops} GFLOP/s for each replica (--gflops).`,
      'Memory is that of weights and what belongs to them; a process needs about 120 MB and its activations besides.',
      ...(plan.exchangeMode === 'final'
        ? ['Students begin when their teachers have ended; weights travel once.']
        : []),
    ],
  };
}

function precisionNotes({ teacherPrecision: precision, replicas }: GroupPlan): readonly string[] {
  if (precision === 'f32' || replicas.every(({ teachers }) => teachers.length === 0)) return [];
  if (precision === 'int8') {
    return ['Teachers compute in int8 with the engine onnx-cpu; other engines compute in f32.'];
  }
  return [
    `Teachers’ matrices are rounded to ${precision} and computed with in f32: that shows what the precision does to a ` +
      'loss, and saves neither time nor memory. What travels is coded as exchange.codec says.',
  ];
}

function replicaTable(plan: GroupPlan, { gflops }: Surroundings): JobExplanation['tables'][number] {
  return {
    title: 'Replicas',
    columns: ['name', 'model', 'parameters', 'teachers', 'FLOP a step', 'steps', 'minutes'],
    rows: plan.replicas.map((replica) => {
      const flop = stepFlop(plan, replica);
      return [
        replica.name,
        describeModel(replica),
        valuesOf(createModel(replica.model).parameters),
        replica.teachers.map((teacher) => plan.replicas[teacher]?.name).join(' ') || 'none',
        flop,
        replica.steps,
        trainingFlop(plan, replica) / (gflops * 1e9 * 60),
      ];
    }),
  };
}

function actorTable(plan: GroupPlan, { nodes }: Surroundings): JobExplanation['tables'][number] {
  const places = snapshotNodes(plan, nodes);
  const node = (index: number): string => (index === 0 ? 'the job’s own' : `node ${index + 1}`);
  return {
    title: 'Actors',
    columns: ['actor', 'node', 'bytes'],
    rows: [
      ...plan.replicas.flatMap((replica, index) => {
        const weights = BYTES_PER_VALUE * valuesOf(shapesOf(replica));
        const place = places[index];
        // The versions that it keeps, after the first exchanges.
        const snapshot = [
          `${replica.name}-snapshot`,
          node(place ?? 0),
          (versionsKept(plan) + (plan.carries === 'predictions' ? 1 : 0)) * weights,
        ];
        return [
          ...trainerNames(replica).map((name, worker) => [
            name,
            node(trainerNode(index + worker, nodes)),
            trainerBytes(plan, replica),
          ]),
          ...(replica.workers === undefined
            ? []
            : [
                [
                  `${replica.name}-server`,
                  node(trainerNode(index, nodes)),
                  serverBytes(plan, replica),
                ],
              ]),
          ...branchesOf(replica.workers, index, nodes).map((branch) => [
            branchName(replica.name, branch.node),
            node(branch.node),
            branch.workers.length * weights,
          ]),
          ...(place === undefined ? [] : [snapshot]),
          [`${replica.name}-data`, node(0), 0],
        ];
      }),
      [
        'evaluator',
        node(0),
        plan.replicas.reduce((sum, one) => sum + BYTES_PER_VALUE * valuesOf(shapesOf(one)), 0),
      ],
    ],
  };
}

/** Nodes of a link's ends. */
type Way = readonly [from: number, to: number];

function trainerNames({ name, workers }: ReplicaPlan): readonly string[] {
  const count = workers === undefined ? 1 : trainersOf(workers);
  return Array.from({ length: count }, (_, worker) => workerName(name, worker));
}

/**
 * Each step reads a batch; in an exchange a replica's delta goes to its snapshot, and from there all weights to each
 * student, or students ask it for predictions in each step; evaluations read all weights.
 */
function linkTable(plan: GroupPlan, { nodes, gflops }: Surroundings) {
  const places = snapshotNodes(plan, nodes);
  const link = (name: string, [from, to]: Way, bytes: number, minutes: number) => [
    name,
    from === to ? 'within a host' : 'between hosts',
    bytes,
    bytes / minutes,
  ];
  const workerRows = plan.replicas.flatMap((replica, index) => {
    const { workers } = replica;
    if (workers === undefined) return [];
    const steps = workers.mode === 'local' ? workers.localSteps : 1;
    const minutes = (steps * stepFlop(plan, replica)) / (gflops * 1e9 * 60);
    const weights = BYTES_PER_VALUE * valuesOf(shapesOf(replica));
    const given =
      workers.codec === 'f32' ? weights : deltaBytesAbout(workers.codec, shapesOf(replica));
    const server = trainerNode(index, nodes);
    const carried = workers.mode === 'synchronous' ? carriedBytes(plan, replica) : 0;
    const branches = branchesOf(workers, index, nodes);
    const own = trainerNames(replica).map((name, worker) => {
      const at = trainerNode(index + worker, nodes);
      const branch = branches.find((each) => each.workers.includes(worker));
      const to = branch ? branchName(replica.name, at) : `${replica.name}-server`;
      const way: Way = [at, branch ? at : server];
      return link(`${name} ⇄ ${to}`, way, given + carried + weights, minutes);
    });
    const ofBranches = branches.map(({ node, workers: { length } }) => {
      const name = `${branchName(replica.name, node)} ⇄ ${replica.name}-server`;
      return link(name, [node, server], given + length * carried + weights, minutes);
    });
    return [...own, ...ofBranches];
  });
  const dataRows = plan.replicas.flatMap((replica, index) =>
    trainerNames(replica).map((name, worker) =>
      link(
        `${replica.name}-data → ${name}, each step`,
        [0, trainerNode(index + worker, nodes)],
        batchBytes(plan, replica),
        stepFlop(plan, replica) / (gflops * 1e9 * 60),
      ),
    ),
  );
  const evaluatorRows = plan.replicas.map((replica, index) =>
    link(
      `${replica.name} → evaluator, each evaluation`,
      [trainerNode(index, nodes), 0],
      BYTES_PER_VALUE * valuesOf(shapesOf(replica)),
      (plan.evaluationIntervalSteps * stepFlop(plan, replica)) / (gflops * 1e9 * 60),
    ),
  );
  const exchangeRows = plan.replicas.flatMap((teacher, index) => {
    const snapshot = places[index];
    if (snapshot === undefined) return [];
    const minutes = exchangeMinutes(plan, teacher, gflops);
    const students = plan.replicas.flatMap((student, at) =>
      student.teachers.includes(index)
        ? trainerNames(student).map((name, worker) => ({
            name,
            node: trainerNode(at + worker, nodes),
          }))
        : [],
    );
    const name = `${teacher.name}-snapshot`;
    return [
      link(
        `${teacher.name} → ${name}`,
        [trainerNode(index, nodes), snapshot],
        deltaBytesAbout(plan.codec, shapesOf(teacher)),
        minutes,
      ),
      ...students.map((student) =>
        plan.carries === 'predictions'
          ? link(
              `${name} ⇄ ${student.name}, each step`,
              [snapshot, student.node],
              predictionBytes(plan, teacher),
              stepFlop(plan, teacher) / (gflops * 1e9 * 60),
            )
          : link(
              `${name} → ${student.name}`,
              [snapshot, student.node],
              BYTES_PER_VALUE * valuesOf(shapesOf(teacher)),
              minutes,
            ),
      ),
    ];
  });
  return {
    title: 'Links',
    columns: ['link', 'way', 'bytes each time', 'bytes a minute'],
    rows: [...dataRows, ...workerRows, ...exchangeRows, ...evaluatorRows],
  };
}

/** Of a Trainer's inputs and targets in one step. */
function batchBytes({ batch }: GroupPlan, { model: config }: ReplicaPlan): number {
  const model = createModel(config);
  return BYTES_PER_VALUE * (inputValues(model, batch) + valuesOf({ of: model.targetShape(batch) }));
}

function inputValues(model: Model, batch: number): number {
  const shapes = Object.entries(model.inputs(batch)).map(([name, { shape }]) => [name, shape]);
  return valuesOf(Object.fromEntries(shapes));
}

/** Of one batch and its answer, the recurrent state both ways. */
function predictionBytes({ batch }: GroupPlan, { model: config }: ReplicaPlan): number {
  const model = createModel(config);
  const rows = valuesOf({ targets: model.targetShape(batch) });
  return (
    BYTES_PER_VALUE *
    (inputValues(model, batch) + rows * model.classes + 2 * valuesOf(model.recurrentState(batch)))
  );
}

/** Recurrent states of a worker's model and its teachers', which go along with its gradients. */
function carriedBytes({ batch, replicas }: GroupPlan, replica: ReplicaPlan): number {
  const models = [replica.model, ...replica.teachers.map((index) => replicas[index]!.model)];
  const values = models.map((config) => valuesOf(createModel(config).recurrentState(batch)));
  return BYTES_PER_VALUE * values.reduce((total, count) => total + count, 0);
}

function exchangeMinutes(plan: GroupPlan, replica: ReplicaPlan, gflops: number): number {
  const steps = plan.exchangeMode === 'final' ? replica.steps : plan.exchangeIntervalSteps;
  return (steps * stepFlop(plan, replica)) / (gflops * 1e9 * 60);
}

/** Forward and backward pass of the student, forward passes of its teachers. */
function stepFlop(plan: GroupPlan, replica: ReplicaPlan): number {
  return replica.teachers.reduce(
    (sum, teacher) => sum + forwardFlop((plan.replicas[teacher] as ReplicaPlan).model, plan.batch),
    3 * forwardFlop(replica.model, plan.batch),
  );
}

/** Of all steps: the first ones have no teachers. */
function trainingFlop(plan: GroupPlan, replica: ReplicaPlan): number {
  const untaught = Math.min(replica.steps, firstTaughtStep(plan));
  const alone = stepFlop(plan, { ...replica, teachers: [] });
  return untaught * alone + (replica.steps - untaught) * stepFlop(plan, replica);
}

/** Of the update's state, and of the gradients that wait for it. */
function serverBytes(plan: GroupPlan, replica: ReplicaPlan): number {
  const { workers } = replica;
  const trainers = workers === undefined ? 0 : trainersOf(workers);
  const { state } = createUpdateStep({ ...plan, ...replica, model: createModel(replica.model) });
  const values = valuesOf(
    Object.fromEntries(Object.entries(state).map(([name, { shape }]) => [name, shape])),
  );
  return BYTES_PER_VALUE * (values + trainers * valuesOf(shapesOf(replica)));
}

/** Of the compiled step's state: weights, the optimizer's, recurrent states and the teachers'. */
function trainerBytes(plan: GroupPlan, replica: ReplicaPlan): number {
  const { state } = createTrainingStep({
    ...plan,
    ...replica,
    model: createModel(replica.model),
    teachers: replica.teachers.map((index) =>
      createModel((plan.replicas[index] as ReplicaPlan).model),
    ),
    teachersRunElsewhere: plan.carries === 'predictions',
  });
  const shapes = Object.fromEntries(
    Object.entries(state).map(([name, { shape }]) => [name, shape]),
  );
  return BYTES_PER_VALUE * valuesOf(shapes);
}

function describeModel({ model, optimizer }: ReplicaPlan): string {
  const sizes = Object.entries(model)
    .filter(([name]) => name !== 'kind' && name !== 'restartIntervalSteps')
    .map(([name, value]) => `${name} ${value}`);
  return `${model.kind}: ${sizes.join(', ')}; ${optimizer.kind}`;
}

function shapesOf({ model }: ReplicaPlan): WeightShapes {
  return weightShapes(createModel(model));
}

function valuesOf(shapes: WeightShapes): number {
  return Object.values(shapes).reduce(
    (sum, shape) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  );
}
