export {
  type Corpus,
  type CorpusOptions,
  type CorpusProgress,
  openCorpus,
  prepareCorpus,
  type TokenFile,
} from './corpus.ts';
export { decodeWindows, encodeWindows } from './record-batches.ts';
export { openTokenShard, type TokenShard, type Tokens } from './token-shard.ts';
export { Tokenizer } from './tokenizer.ts';
export { trainTokenizer, WordCounts } from './tokenizer-training.ts';
export { createWindows, type TrainingWindow, type WindowShape, type Windows } from './windows.ts';
