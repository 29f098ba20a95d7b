// Writes the table of compiled kernels into compiler/README.md: node test/compiler/kernel-table.ts
import { readFile, writeFile } from 'node:fs/promises';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { kernelNotes, traceKernels } from '../../compiler/kernels/registry.ts';
import { traceStep } from '../../compiler/trace-step.ts';
import { kernelCases } from './kernel-cases/all.ts';

const readme = new URL('../../compiler/README.md', import.meta.url);
const [begin, end] = ['<!-- kernels: begin -->', '<!-- kernels: end -->'];

/** The types of operands with which each kernel is tested against tfjs's CPU backend. */
export function testedTypes(): ReadonlyMap<string, ReadonlySet<string>> {
  const tested = new Map<string, Set<string>>();
  for (const { shapes, build } of kernelCases) {
    const specs = shapes.map((shape, i) => [`x${i}`, { shape, dtype: 'float32' as const }]);
    const { kernels } = traceStep(
      (_, tensors) => {
        const results = [build(...Object.values(tensors))].flat();
        return { state: {}, outputs: { y: results[0]! } };
      },
      {},
      Object.fromEntries(specs),
    );
    for (const [name, types] of kernels) {
      tested.set(name, (tested.get(name) ?? new Set()).union(types));
    }
  }
  return tested;
}

/** The registry as a table, one line for each kernel, and what it lacks. */
export function kernelTable(): string {
  const tested = testedTypes();
  const lines = Object.keys(traceKernels)
    .sort()
    .map((name) => {
      const types = [...(tested.get(name) ?? [])].sort().join(', ');
      return `| \`${name}\` | ${types} | ${kernelNotes[name] ?? ''} |`;
    });
  const refused = tf
    .getKernelsForBackend('cpu')
    .map(({ kernelName }) => kernelName)
    .filter((name) => !(name in traceKernels))
    .sort();
  return [
    '| kernel | types | notes |',
    '|---|---|---|',
    ...lines,
    '',
    'Of the kernels of TensorFlow.js these are refused: complex numbers, text, sparse and ragged tensors, results whose',
    'size depends on data, and what layers have no use for:',
    `${refused.map((name) => `\`${name}\``).join(', ')}.`,
  ].join('\n');
}

/** The table that the README has. */
export async function documentedTable(): Promise<string> {
  const text = await readFile(readme, 'utf8');
  return text.slice(text.indexOf(begin) + begin.length, text.indexOf(end)).trim();
}

if (import.meta.main) {
  await tf.setBackend('cpu');
  const text = await readFile(readme, 'utf8');
  const [before, after] = [text.slice(0, text.indexOf(begin)), text.slice(text.indexOf(end))];
  await writeFile(readme, `${before}${begin}\n${kernelTable()}\n${after}`);
}
