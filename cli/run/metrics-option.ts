import { readFileSync } from 'node:fs';
import { type Command, InvalidArgumentError } from 'commander';
import { UserInputError } from '../../errors.ts';
import { isLoopback } from '../../loopback.ts';
import type { MetricsOptions, MetricsServer } from '../../runtime/index.ts';
import type { Output } from '../output/output.ts';

export interface MetricsFlags {
  readonly metricsPort?: MetricsOptions;
  readonly metricsTokenFile?: string;
}

export function addMetricsOption(command: Command): Command {
  const text = 'serve /metrics for Prometheus there; without a host for this machine only';
  return command
    .option('--metrics-port <[host:]port>', text, parseAddress)
    .option(
      '--metrics-token-file <file>',
      'the bearer token that other machines need to read them',
    );
}

/** @throws UserInputError when the file can't be read or has no token, or others could read without one. */
export function planMetrics(flags: MetricsFlags): MetricsOptions | undefined {
  const { metricsPort, metricsTokenFile: path } = flags;
  if (metricsPort === undefined) return undefined;
  if (path !== undefined) return { ...metricsPort, token: readToken(path) };
  const { host } = metricsPort;
  if (host === undefined || isLoopback(host)) return metricsPort;
  throw new UserInputError(
    `Metrics on ${host} could be read by everybody in reach. Give --metrics-token-file with a token that ` +
      'readers have to send, or serve them to this machine only: --metrics-port PORT.',
  );
}

function readToken(path: string): string {
  let token: string;
  try {
    token = readFileSync(path, 'utf8').trim();
  } catch (cause) {
    const why = (cause as Error).message;
    throw new UserInputError(`--metrics-token-file can't be read: ${why}`, { cause });
  }
  if (/^\S{16,}$/.test(token)) return token;
  throw new UserInputError(
    `${path} holds no token: one line of at least 16 characters, as openssl rand -hex 32 makes it.`,
  );
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
