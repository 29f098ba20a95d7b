import { convolutionKernels } from './convolution.ts';
import { creationKernels } from './creation.ts';
import { depthwiseKernels } from './depthwise.ts';
import { dilationKernels } from './dilation.ts';
import { elementwiseKernels } from './elementwise.ts';
import { imageKernels } from './image.ts';
import { indexingKernels } from './indexing.ts';
import type { KernelTable } from './kernel.ts';
import { layoutKernels } from './layout.ts';
import { matrixKernels } from './matrix.ts';
import { normalisationKernels } from './normalisation.ts';
import { poolingKernels } from './pooling.ts';
import { reductionKernels } from './reduction.ts';

/** Every tfjs kernel that can be compiled. */
export const traceKernels: KernelTable = {
  ...convolutionKernels,
  ...creationKernels,
  ...depthwiseKernels,
  ...dilationKernels,
  ...elementwiseKernels,
  ...imageKernels,
  ...indexingKernels,
  ...layoutKernels,
  ...matrixKernels,
  ...normalisationKernels,
  ...poolingKernels,
  ...reductionKernels,
};

/** What users should know of a kernel; the documentation's table has it. */
export const kernelNotes: Readonly<Record<string, string>> = {
  AvgPoolGrad: 'spreads over the whole window, padding included, as tfjs does',
  AvgPool3DGrad: 'spreads over the whole window, padding included, as tfjs does',
  Conv2DBackpropFilter: 'products by place of the window, or minimal filtering',
  Conv2DBackpropInput: 'a convolution with the window turned around, or products',
  Conv3D: 'channels last only',
  CropAndResize: 'a product with a matrix for each box',
  DepthToSpace: 'channels last only',
  DepthwiseConv2dNativeBackpropFilter: 'channels last only',
  DepthwiseConv2dNativeBackpropInput: 'channels last only',
  Dilation2DBackpropFilter: 'goes to the first of equal sums',
  Dilation2DBackpropInput: 'goes to the first of equal sums',
  Einsum: 'without a gradient, as in tfjs',
  Fill: 'numbers only',
  MaxPoolGrad: 'goes to the first of equal elements',
  MaxPool3DGrad: 'goes to the first of equal elements',
  MaxPoolWithArgmax: 'the first of equal elements',
  OneHot: 'an index out of range gives a row of off values',
  ResizeBilinearGrad: 'without halfPixelCenters, which tfjs leaves out',
  ResizeNearestNeighborGrad: 'without halfPixelCenters, which tfjs leaves out',
};
