import type { LanguageModelConfig } from '../../training/index.ts';

/**
 * The language model and the codistillation objective once more, in plain loops over 64-bit
 * numbers, one sequence at a time: a second opinion on the tensors' version, and precise enough
 * for finite differences.
 */
export type ReferenceParameters = Readonly<Record<string, readonly number[]>>;

type Row = readonly number[];

/** Logits of each step for one sequence, from the given hidden and cell values of each layer. */
export function referenceLogits(
  config: LanguageModelConfig,
  parameters: ReferenceParameters,
  tokens: readonly number[],
  state: readonly { readonly hidden: Row; readonly cell: Row }[],
): Row[] {
  const { embeddingSize, vocabularySize } = config;
  const layers = state.map((layer) => ({ ...layer }));
  return tokens.map((token) => {
    let values: Row = rowOf(parameters.embedding!, token, embeddingSize);
    for (const [index, before] of layers.entries()) {
      const after = referenceStep(parameters, `layer${index}`, values, before);
      Object.assign(before, after);
      values = after.hidden;
    }
    const bias = parameters['output/bias']!;
    return times(values, parameters['output/weights']!, vocabularySize).map(
      (value, piece) => value + bias[piece]!,
    );
  });
}

/** Mean loss + distillWeight · mean distillation loss over the rows. */
export function referenceObjective(
  logits: readonly Row[],
  targets: readonly number[],
  teacherLogits: readonly (readonly Row[])[],
  distillWeight: number,
): number {
  const losses = logits.map((row, index) => {
    const logs = logSoftmax(row);
    const soft = logs.map((_, piece) => {
      const each = teacherLogits.map((teacher) => Math.exp(logSoftmax(teacher[index]!)[piece]!));
      return each.length === 0 ? 0 : sum(each) / each.length;
    });
    return -logs[targets[index]!]! - distillWeight * dot(soft, logs);
  });
  return sum(losses) / losses.length;
}

/** Central differences; at this step both their truncation and 64-bit rounding are below 1e-7. */
export function finiteDifferences(
  value: (at: readonly number[]) => number,
  at: readonly number[],
): number[] {
  const step = 1e-5;
  return at.map((one, index) => {
    const above = value(at.with(index, one + step));
    return (above - value(at.with(index, one - step))) / (2 * step);
  });
}

/** (x − mean) / √(variance + 1e-5) */
export function referenceNormalise(row: Row): Row {
  const mean = sum(row) / row.length;
  const variance = sum(row.map((value) => (value - mean) ** 2)) / row.length;
  return row.map((value) => (value - mean) / Math.sqrt(variance + 1e-5));
}

function referenceStep(
  parameters: ReferenceParameters,
  layer: string,
  input: Row,
  before: { readonly hidden: Row; readonly cell: Row },
): { readonly hidden: Row; readonly cell: Row } {
  const named = (name: string) => parameters[`${layer}/${name}`]!;
  const units = before.cell.length;
  const fromInput = referenceNormalise(times(input, named('inputWeights'), 4 * units));
  const fromHidden = referenceNormalise(times(before.hidden, named('recurrentWeights'), 4 * units));
  const sums = named('bias').map(
    (bias, index) =>
      bias +
      fromInput[index]! * named('inputGain')[index]! +
      fromHidden[index]! * named('recurrentGain')[index]!,
  );
  const gate = (which: number, unit: number) => sums[which * units + unit]!;
  const cell = before.cell.map(
    (value, unit) =>
      sigmoid(gate(1, unit)) * value + sigmoid(gate(0, unit)) * Math.tanh(gate(3, unit)),
  );
  const normalised = referenceNormalise(cell);
  const hidden = normalised.map((value, unit) => {
    const scaled = value * named('cellGain')[unit]! + named('cellBias')[unit]!;
    return sigmoid(gate(2, unit)) * Math.tanh(scaled);
  });
  return { hidden, cell };
}

function logSoftmax(row: Row): Row {
  const largest = Math.max(...row);
  const total = Math.log(sum(row.map((value) => Math.exp(value - largest)))) + largest;
  return row.map((value) => value - total);
}

/** A row vector times a row-major matrix of `columns` columns. */
function times(row: Row, matrix: readonly number[], columns: number): Row {
  return Array.from({ length: columns }, (_, column) =>
    sum(row.map((value, index) => value * matrix[index * columns + column]!)),
  );
}

function rowOf(matrix: readonly number[], row: number, columns: number): Row {
  return matrix.slice(row * columns, (row + 1) * columns);
}

function dot(one: Row, other: Row): number {
  return sum(one.map((value, index) => value * other[index]!));
}

function sum(values: Row): number {
  return values.reduce((total, value) => total + value, 0);
}

function sigmoid(value: number): number {
  return 1 / (1 + Math.exp(-value));
}
