import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { DamagedDataError, DownloadError } from '../../errors.ts';
import { cannotWrite } from '../atomic-file.ts';
import { differenceOf, digestFile, type ExpectedFile } from './file-digest.ts';

export interface DownloadOptions {
  readonly url: string;
  /** Where the file goes; what is not whole yet lies beside it, with `.part` at its end. */
  readonly path: string;
  readonly expected: ExpectedFile;
  /** Of the whole, retries included. */
  readonly deadlineMs: number;
  /** Longest silence of the server. */
  readonly idleTimeoutMs?: number;
  /** Tries that may bring nothing new, one after the other. */
  readonly attemptsMax?: number;
  readonly signal?: AbortSignal;
  readonly fetch?: typeof globalThis.fetch;
  /** Waits between tries. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

export interface DownloadProgress {
  /** Bytes that are there. */
  readonly done: number;
  readonly total: number | undefined;
}

export interface Downloaded {
  readonly bytes: number;
  readonly sha256: string;
}

const IDLE_TIMEOUT_MS = 30_000;
const ATTEMPTS_MAX = 5;
const BACKOFF_MS = 1000;
const BACKOFF_MS_MAX = 30_000;

/** The try may be repeated. */
class TransientError extends Error {}

/**
 * Downloads a file, and goes on where an earlier download was cut off, if the server can do that and
 * the file there is still the same. The file has its name only when it is whole and right.
 * @throws DownloadError when it can't be had; DamagedDataError when it is not what was expected;
 *   UserInputError when it can't be written; the signal's reason when it aborts.
 */
export async function downloadFile(options: DownloadOptions): Promise<Downloaded> {
  const { path, expected, url, attemptsMax = ATTEMPTS_MAX } = options;
  const deadline = AbortSignal.timeout(options.deadlineMs);
  const signal = options.signal ? AbortSignal.any([options.signal, deadline]) : deadline;
  const part = `${path}.part`;
  let failures = 0;
  let before = await sizeOf(part);
  for (;;) {
    try {
      await fetchRest(options, part, signal);
      break;
    } catch (error) {
      options.signal?.throwIfAborted();
      if (deadline.aborted) {
        const seconds = Math.round(options.deadlineMs / 1000);
        throw new DownloadError(
          `${url} did not come within ${seconds} s. What has come is kept: fetch again to go on`,
          { cause: error },
        );
      }
      if (error instanceof DamagedDataError) await discard(part);
      if (!(error instanceof TransientError)) throw error;
      // A try that brought something is no failure: a large file may take many.
      const now = await sizeOf(part);
      failures = now > before ? 1 : failures + 1;
      before = now;
      if (failures >= attemptsMax) {
        throw new DownloadError(
          `${url} could not be had in ${attemptsMax} tries: ${error.message}. ` +
            'What has come is kept: fetch again to go on',
          { cause: error.cause ?? error },
        );
      }
      const backoff = Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (failures - 1));
      // Whatever ends the wait early is looked at in the next round.
      await options.sleep(backoff, signal).catch(() => {});
    }
  }
  const found = await digestFile(part);
  const wrong = differenceOf(found, expected);
  if (wrong !== undefined) {
    await discard(part);
    throw new DamagedDataError(
      `${url} is not the file that was expected: ${wrong}. It was deleted. Try again; if it stays ` +
        'so, the publisher has changed it or somebody between has',
    );
  }
  await rename(part, path);
  await rm(validatorPath(part), { force: true });
  return { bytes: found.bytes, sha256: found.sha256 };
}

/** Asks for what `part` lacks and appends it. */
async function fetchRest(
  options: DownloadOptions,
  part: string,
  signal: AbortSignal,
): Promise<void> {
  const { url, expected, onProgress, fetch = globalThis.fetch } = options;
  signal.throwIfAborted();
  let have = await sizeOf(part);
  const validator = have > 0 ? await readValidator(part) : undefined;
  const isPinned = expected.sha256 !== undefined || expected.md5 !== undefined;
  // Without a checksum or a mark of the server's version, two versions could be mixed.
  if (have > (expected.bytes ?? Number.MAX_SAFE_INTEGER) || (!isPinned && !validator)) {
    await discard(part);
    have = 0;
  }
  if (have > 0 && have === expected.bytes) return;
  const idle = createIdleTimer(options.idleTimeoutMs ?? IDLE_TIMEOUT_MS);
  try {
    const response = await transient(
      fetch(url, {
        headers: {
          // Compression on the way would make ranges those of something else.
          'accept-encoding': 'identity',
          ...(have > 0 && { range: `bytes=${have}-` }),
          ...(have > 0 && validator !== undefined && { 'if-range': validator }),
        },
        signal: AbortSignal.any([signal, idle.signal]),
      }),
    );
    const answer = await readAnswer(response, url, have);
    if (answer === 'whole') return;
    if (answer === 'anew') {
      await response.body?.cancel();
      await discard(part);
      throw new TransientError('the part that was there did not fit the file');
    }
    const total = answer.total ?? expected.bytes;
    if (expected.bytes !== undefined && total !== expected.bytes) {
      await response.body?.cancel();
      throw new DamagedDataError(
        `${url} is not the file that was expected: it has ${total} bytes, expected ${expected.bytes}`,
      );
    }
    await keepValidator(part, response);
    await append(part, answer.from, {
      chunks: response.body ?? emptyStream(),
      bytesMax: total,
      onChunk: (done) => {
        idle.restart();
        onProgress?.({ done, total });
      },
    });
    const size = await sizeOf(part);
    if (total !== undefined && size < total) {
      throw new TransientError(`the connection was cut after ${size} of ${total} bytes`);
    }
  } finally {
    idle.stop();
  }
}

interface Answer {
  /** Where the body belongs in the file. */
  readonly from: number;
  readonly total: number | undefined;
}

async function readAnswer(
  response: Response,
  url: string,
  have: number,
): Promise<Answer | 'whole' | 'anew'> {
  const { status, headers } = response;
  if (status === 206) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers.get('content-range') ?? '');
    if (range === null || Number(range[1]) !== have) return 'anew';
    return { from: have, total: range[2] === '*' ? undefined : Number(range[2]) };
  }
  if (status === 200) {
    const length = headers.get('content-length');
    return { from: 0, total: length === null ? undefined : Number(length) };
  }
  await response.body?.cancel();
  if (status === 416 && have > 0) {
    const total = /^bytes \*\/(\d+)$/.exec(headers.get('content-range') ?? '')?.[1];
    return Number(total) === have ? 'whole' : 'anew';
  }
  if (status === 408 || status === 429 || status >= 500) {
    throw new TransientError(`the server answered ${status} ${response.statusText}`);
  }
  throw new DownloadError(
    `${url} can't be had: the server answered ${status} ${response.statusText}. ` +
      'The publisher may have moved it; --from names another address',
  );
}

async function append(
  part: string,
  from: number,
  options: {
    readonly chunks: AsyncIterable<Uint8Array>;
    readonly bytesMax: number | undefined;
    readonly onChunk: (done: number) => void;
  },
): Promise<void> {
  let file: FileHandle;
  try {
    file = await open(part, from === 0 ? 'w' : 'r+');
  } catch (cause) {
    throw cannotWrite(part, cause);
  }
  let at = from;
  try {
    const chunks = options.chunks[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await transient(chunks.next());
      if (done) break;
      if (at + value.length > (options.bytesMax ?? Number.MAX_SAFE_INTEGER)) {
        await chunks.return?.();
        throw new DamagedDataError(
          `${part} would become larger than the ${options.bytesMax} bytes that were expected`,
        );
      }
      try {
        await file.write(value, 0, value.length, at);
      } catch (cause) {
        await chunks.return?.();
        throw cannotWrite(part, cause);
      }
      at += value.length;
      options.onChunk(at);
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Failures of the connection, also those that a time-out ends, may pass. */
async function transient<Result>(result: Promise<Result>): Promise<Result> {
  try {
    return await result;
  } catch (cause) {
    const { message, cause: reason } = cause as Error;
    const detail = reason instanceof Error ? `: ${reason.message}` : '';
    throw new TransientError(`${message}${detail}`, { cause });
  }
}

function createIdleTimer(timeoutMs: number) {
  const controller = new AbortController();
  const start = () =>
    setTimeout(
      () => controller.abort(new Error(`the server was silent for ${timeoutMs} ms`)),
      timeoutMs,
    );
  let timer = start();
  return {
    signal: controller.signal,
    restart() {
      clearTimeout(timer);
      timer = start();
    },
    stop() {
      clearTimeout(timer);
    },
  };
}

async function* emptyStream(): AsyncGenerator<Uint8Array> {}

function validatorPath(part: string): string {
  return `${part}.version`;
}

async function readValidator(part: string): Promise<string | undefined> {
  return await readFile(validatorPath(part), 'utf8').catch(() => undefined);
}

/** A strong mark only: a weak one may stand for other bytes. */
async function keepValidator(part: string, { headers }: Response): Promise<void> {
  const tag = headers.get('etag');
  const validator = tag !== null && !tag.startsWith('W/') ? tag : headers.get('last-modified');
  try {
    if (validator === null) await rm(validatorPath(part), { force: true });
    else await writeFile(validatorPath(part), validator);
  } catch (cause) {
    throw cannotWrite(part, cause);
  }
}

async function discard(part: string): Promise<void> {
  await rm(part, { force: true });
  await rm(validatorPath(part), { force: true });
}

async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}
