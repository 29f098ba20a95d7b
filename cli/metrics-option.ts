import { type Command, InvalidArgumentError } from 'commander';
import type { MetricsOptions, MetricsServer } from '../runtime/index.ts';
import type { Output } from './output.ts';

export interface MetricsFlags {
  readonly metricsPort?: MetricsOptions;
}

export function addMetricsOption(command: Command): Command {
  const text = 'serve /metrics for Prometheus there; without a host for this machine only';
  return command.option('--metrics-port <[host:]port>', text, parseAddress);
}

export function tellMetrics(output: Output, { url }: MetricsServer): void {
  output.message(`Metrics: ${url}`, { type: 'metrics', url });
}

function parseAddress(text: string): MetricsOptions {
  const [, host, digits] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) {
    throw new InvalidArgumentError('It is a port, as 9464, or host:port.');
  }
  return { port, ...(host !== undefined && { host: host.replaceAll(/[[\]]/g, '') }) };
}
