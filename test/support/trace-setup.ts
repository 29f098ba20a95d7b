/** What a user's `--import` file does: registers an SDK, here one that keeps its spans in memory. */
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';

export const spans: InMemorySpanExporter = new InMemorySpanExporter();

new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).register();
