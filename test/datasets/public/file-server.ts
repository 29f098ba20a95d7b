import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';

export interface FileServer {
  readonly url: string;
  readonly requests: IncomingMessage[];
}

/** An HTTP server on this machine that answers as `answer` does; it goes when the test ends. */
export async function startServer(
  t: ExecutionContext,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<FileServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

export interface ServingOptions {
  /** Whether a part can be asked for. */
  readonly ranges?: boolean;
  readonly tag?: string;
  /** Sends so many bytes of the answer and cuts the connection, */
  readonly cutAfter?: number;
  /** if given, when it calls what it is given: else at once, and some of the bytes may not arrive. */
  readonly cutWhen?: (cut: () => void) => void;
}

/** Answers with `content`, or the rest of it. */
export function serve(
  content: Uint8Array,
  request: IncomingMessage,
  response: ServerResponse,
  { ranges = true, tag, cutAfter, cutWhen = (cut) => cut() }: ServingOptions = {},
): void {
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1];
  const condition = request.headers['if-range'];
  const isPart = ranges && asked !== undefined && (condition === undefined || condition === tag);
  const from = isPart ? Number(asked) : 0;
  const headers = tag === undefined ? {} : { etag: tag };
  if (isPart && from >= content.length) {
    response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
    return;
  }
  const body = content.subarray(from);
  response.writeHead(isPart ? 206 : 200, {
    ...headers,
    'content-length': body.length,
    ...(isPart && {
      'content-range': `bytes ${from}-${content.length - 1}/${content.length}`,
    }),
  });
  if (cutAfter === undefined) response.end(body);
  else response.write(body.subarray(0, cutAfter), () => cutWhen(() => response.destroy()));
}

/** Bytes that look like no others, and what a catalogue says of them. */
export function someFile(length: number) {
  const content = Buffer.from(Array.from({ length }, (_, i) => (i * 7919) >> (i % 8)));
  const hash = (algorithm: string) => createHash(algorithm).update(content).digest('hex');
  return { content, expected: { bytes: length, sha256: hash('sha256') }, md5: hash('md5') };
}
