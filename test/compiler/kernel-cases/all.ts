import type { Case } from './case.ts';
import { convolutionCases } from './convolution.ts';
import { creationCases } from './creation.ts';
import { binaryCases, elementwiseCases } from './elementwise.ts';
import { imageCases } from './image.ts';
import { indexingCases } from './indexing.ts';
import { layoutCases } from './layout.ts';
import { matrixCases } from './matrix.ts';
import { normalisationCases } from './normalisation.ts';
import { poolingCases } from './pooling.ts';
import { randomCases } from './random.ts';
import { reductionCases } from './reduction.ts';

/** Calls every kernel that can be compiled. */
export const kernelCases: readonly Case[] = [
  ...elementwiseCases,
  ...binaryCases,
  ...randomCases,
  ...reductionCases,
  ...matrixCases,
  ...layoutCases,
  ...indexingCases,
  ...creationCases,
  ...convolutionCases,
  ...poolingCases,
  ...imageCases,
  ...normalisationCases,
];
