export type { OnBadRow } from './bad-rows.ts';
export { type BatchPart, partOfBatches } from './batch-part.ts';
export {
  type Batch,
  type Batches,
  type ColumnData,
  type ColumnSpec,
  type ColumnSpecs,
  columnLength,
} from './batches.ts';
export { type Corpus, openCorpus, type TokenFile } from './corpus.ts';
export { type CorpusOptions, prepareCorpus } from './corpus-preparation.ts';
export type { CorpusProgress } from './corpus-text.ts';
export { type DataSource, openBatches } from './data-source.ts';
export { cifar10Classes, openCifarImages } from './images/cifar-images.ts';
export { fashionClasses, type IdxFiles, openIdxImages } from './images/idx-images.ts';
export { type ImageFolderOptions, openImageFolder } from './images/image-folder.ts';
export {
  type ImageOptions,
  type ImageProgress,
  prepareImages,
} from './images/image-preparation.ts';
export type { BadImage, ImageSource, LabelledImage } from './images/image-source.ts';
export { type ShapeOptions, shapeClasses, shapeImages } from './images/shape-images.ts';
export {
  type Predictions,
  predictionsFile,
  readPredictions,
  writePredictions,
} from './predictions.ts';
export {
  type CategoricalFeature,
  type Dataset,
  type ImageFeatures,
  type NumericFeature,
  openDataset,
  openRecords,
  type TableFeatures,
} from './prepared/dataset.ts';
export { normalisePixels, type RecordsSource } from './prepared/dataset-batches.ts';
export type { ColumnValues, RecordColumn, RecordValues } from './prepared/record-columns.ts';
export type { RecordFile, RecordFileEntry } from './prepared/record-file.ts';
export { createRowBatches, type RowBatches, type RowBatchOptions } from './prepared/row-batches.ts';
export type { SplitOptions } from './prepared/split.ts';
export type { DownloadProgress } from './public/download.ts';
export {
  type FetchedFile,
  type FetchOptions,
  fetchDataset,
  findPublicDataset,
} from './public/fetch-dataset.ts';
export { type PublicDataset, type PublicFile, publicDatasets } from './public/public-datasets.ts';
export { decodeBatches, encodeBatches } from './record-batches.ts';
export { adultFiles, adultSchema } from './tables/adult.ts';
export { type CriteoOptions, criteoSchema } from './tables/criteo.ts';
export {
  type CriteoFile,
  type CriteoGeneratorOptions,
  type GeneratedRow,
  generateCriteo,
  writeCriteoFile,
} from './tables/criteo-generator.ts';
export {
  describeColumns,
  type InferenceOptions,
  inferTableSchema,
} from './tables/schema-inference.ts';
export {
  describeTable,
  prepareTable,
  type TableDescription,
  type TableOptions,
  type TableProgress,
} from './tables/table-preparation.ts';
export {
  parseTableSchema,
  readTableSchema,
  type TableSchema,
  type TableSchemaDocument,
} from './tables/table-schema.ts';
export { shareText, type TextPart } from './text-parts.ts';
export { listTextSources, type TextSource } from './text-sources.ts';
export type { Tokens } from './token-list.ts';
export { openTokenShard, type TokenShard } from './token-shard.ts';
export { Tokenizer } from './tokenizer.ts';
export { openTokenizer } from './tokenizer-file.ts';
export { createWindows, type WindowShape, type Windows } from './windows.ts';
