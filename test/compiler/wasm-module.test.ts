import test from 'ava';
import { type ElementwiseProgram, emitElementwiseModule } from '../../compiler/wasm-module.ts';
import { someNumbers } from './graphs.ts';

const SIZE = 48;

/** Runs a program over tensors that lie one after another in their memories. */
async function run(
  program: ElementwiseProgram,
  tensors: readonly Float32Array[],
  scalars: readonly number[] = [],
): Promise<readonly Float32Array[]> {
  const memories = [new WebAssembly.Memory({ initial: 1 }), new WebAssembly.Memory({ initial: 1 })];
  const views = tensors.map((data, index) => {
    const { buffer } = memories[program.tensors[index]!]!;
    const view = new Float32Array(buffer, 4 * SIZE * index, SIZE);
    view.set(data);
    return view;
  });
  const imports = { m: { 0: memories[0]!, 1: memories[1]! } };
  const { instance } = await WebAssembly.instantiate(emitElementwiseModule(program), imports);
  const call = instance.exports.run as (...numbers: number[]) => void;
  call(4 * SIZE, ...views.map((view) => view.byteOffset), ...scalars);
  return views;
}

const operations = {
  Add: (a: number, b: number) => a + b,
  Sub: (a: number, b: number) => a - b,
  Mul: (a: number, b: number) => a * b,
  Div: (a: number, b: number) => a / b,
  Min: Math.min,
  Max: Math.max,
  Abs: Math.abs,
  Neg: (a: number) => -a,
  Sqrt: Math.sqrt,
} as const;

for (const [operator, compute] of Object.entries(operations)) {
  test(`${operator} has the bits of float32 arithmetic`, async (t) => {
    const isUnary = compute.length === 1;
    const [a, b] = [someNumbers(SIZE, 1), someNumbers(SIZE, 2)];
    const [left, right] = [{ tensor: 0 }, { tensor: 1 }];
    const program: ElementwiseProgram = {
      tensors: [0, 1, 0],
      scalarCount: 0,
      instructions: [
        {
          operator: operator as keyof typeof operations,
          operands: isUnary ? [left] : [left, right],
        },
      ],
      stores: [{ tensor: 2, value: { result: 0 } }],
    };
    const [, , result] = await run(program, [a, b, new Float32Array(SIZE)]);
    const expected = a.map((x, i) => compute(x, b[i]!));
    t.deepEqual([...result!], [...expected]);
  });
}

test('scalars, constants and earlier results are operands, and tensors are updated in place', async (t) => {
  const [weights, gradient] = [someNumbers(SIZE, 3), someNumbers(SIZE, 4)];
  const program: ElementwiseProgram = {
    tensors: [0, 1],
    scalarCount: 2,
    instructions: [
      { operator: 'Mul', operands: [{ tensor: 1 }, { scalar: 1 }] },
      { operator: 'Add', operands: [{ result: 0 }, { constant: 0.1 }] },
      { operator: 'Sub', operands: [{ scalar: 0 }, { result: 1 }] },
      { operator: 'Mul', operands: [{ tensor: 0 }, { result: 2 }] },
    ],
    stores: [
      { tensor: 0, value: { result: 3 } },
      { tensor: 1, value: { tensor: 0 } },
    ],
  };
  const [updated, moved] = await run(program, [weights, gradient], [3, 0.5]);
  const f = Math.fround;
  const expected = weights.map((w, i) => f(w * f(3 - f(f(gradient[i]! * 0.5) + f(0.1)))));
  t.deepEqual([...updated!], [...expected]);
  t.deepEqual([...moved!], [...weights]);
});

test('a program with more than 127 operations and locals is encoded right', async (t) => {
  const count = 200;
  const program: ElementwiseProgram = {
    tensors: [0],
    scalarCount: 0,
    instructions: Array.from({ length: count }, (_, i) => ({
      operator: 'Add' as const,
      operands: [i === 0 ? { tensor: 0 } : { result: i - 1 }, { constant: i }],
    })),
    stores: [{ tensor: 0, value: { result: count - 1 } }],
  };
  const [result] = await run(program, [new Float32Array(SIZE)]);
  t.is(result![SIZE - 1], (count * (count - 1)) / 2);
});
