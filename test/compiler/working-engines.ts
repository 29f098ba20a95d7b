import { type EngineName, listEngines } from '../../compiler/index.ts';

/**
 * The engines that work here: on a machine with a GPU, or with tfjs-node installed, more is tested. To test `onnx-webgpu`
 * on a software adapter set CODISTILL_WEBGPU_ADAPTER=any and VK_ICD_FILENAMES to one (see bench/gpu/).
 */
export const workingEngines: readonly EngineName[] = (await listEngines())
  .filter(({ works }) => works)
  .map(({ name }) => name);

/** Those that are compared with the reference, which is tfjs's own on the CPU. */
export const testedEngines: readonly EngineName[] = workingEngines.filter(
  (name) => name !== 'tfjs-cpu',
);
