import {
  compile,
  type TensorData,
  type TensorFunction,
  type TensorSpec,
} from '../../compiler/index.ts';

/** Runs a function on both engines, from the same state and with the same random numbers. */
export async function outputsOf(
  fn: TensorFunction,
  signature: Record<string, TensorSpec>,
  inputs: Record<string, TensorData>,
): Promise<[actual: Record<string, TensorData>, expected: Record<string, TensorData>]> {
  const outputs = [];
  for (const engine of ['onnx-cpu', 'tfjs-cpu'] as const) {
    const compiled = await compile(fn, signature, { engine });
    outputs.push(await compiled.run(inputs));
    await compiled.dispose();
  }
  return outputs as [Record<string, TensorData>, Record<string, TensorData>];
}
