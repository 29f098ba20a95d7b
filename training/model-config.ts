import { type DenseNetworkConfig, denseNetwork } from './dense-network.ts';
import { type LstmModelConfig, lstmModel } from './lstm-model.ts';
import type { Model } from './model.ts';
import { networkModel } from './network-model.ts';
import { type ResidualNetworkConfig, residualNetwork } from './residual-network.ts';
import { type TransformerConfig, transformer } from './transformer.ts';

/** A model as plain data: what a message or a file can say of it. */
export type ModelConfig =
  | ({ readonly kind: 'lstm' } & LstmModelConfig)
  | ({ readonly kind: 'transformer' } & TransformerConfig)
  | ({ readonly kind: 'dense' } & DenseNetworkConfig)
  | ({ readonly kind: 'residual' } & ResidualNetworkConfig);

export const modelKinds: readonly ModelConfig['kind'][] = [
  'lstm',
  'transformer',
  'dense',
  'residual',
];

/** @throws RangeError that names the field, its value and the values allowed. */
export function createModel(config: ModelConfig): Model {
  switch (config.kind) {
    case 'lstm':
      return lstmModel(config);
    case 'transformer':
      return networkModel(transformer(config), 'tokens');
    case 'dense':
      return networkModel(denseNetwork(config), 'examples');
    case 'residual':
      return networkModel(residualNetwork(config), 'examples');
  }
}
