import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { createAuthority } from '../../../cli/server/certificates.ts';
import { BusUnavailableError } from '../../../errors.ts';
import { connectNatsBus, type NatsOptions } from '../../../runtime/index.ts';
import { type NatsServer, startNatsServer } from '../../support/nats-server.ts';

const timeoutMs = 15_000;
const authority = createAuthority(randomBytes(32), 'test');
let folder: string;
let server: NatsServer;
let strict: NatsServer;

test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'codistill-tls-'));
  const files = { server: authority.issue(['127.0.0.1']), client: authority.issue(['client']) };
  await writeFile(at('ca.pem'), authority.certificate);
  for (const [name, { certificate, key }] of Object.entries(files)) {
    await writeFile(at(`${name}.pem`), certificate);
    await writeFile(at(`${name}.key`), key);
  }
  const tls = `cert_file: "${at('server.pem')}", key_file: "${at('server.key')}"`;
  server = await startNatsServer({ config: [`tls { ${tls} }`] });
  const verify = `tls { ${tls}, ca_file: "${at('ca.pem')}", verify: true }`;
  strict = await startNatsServer({ config: [verify] });
});
test.after.always(async () => {
  await Promise.all([server?.stop(), strict?.stop()]);
  await rm(folder, { recursive: true, force: true });
});

function at(name: string): string {
  return join(folder, name);
}

async function flush(options: Omit<NatsOptions, 'timeoutMs'>): Promise<void> {
  const bus = await connectNatsBus({ ...options, timeoutMs });
  await bus.flush().finally(() => bus.close());
}

test('a server with a certificate is reached by who trusts its authority', async (t) => {
  await t.notThrowsAsync(flush({ servers: server.url, tls: { caFile: at('ca.pem') } }));
  await t.notThrowsAsync(flush({ servers: server.url, tls: { ca: authority.certificate } }));
});

test('a certificate of an unknown authority is refused, and what to do is said', async (t) => {
  await t.throwsAsync(flush({ servers: server.url }), {
    instanceOf: BusUnavailableError,
    message: /certificate.*TLS failed: give the authority's certificate \(--nats-ca\)/,
  });
});

test('a certificate for another host is refused', async (t) => {
  // 127.0.0.1 is in the certificate, localhost and 127.0.0.2 are not.
  for (const host of ['localhost', '127.0.0.2']) {
    const servers = `tls://${host}:${server.port}`;
    await t.throwsAsync(flush({ servers, tls: { caFile: at('ca.pem') } }), {
      instanceOf: BusUnavailableError,
    });
  }
  const serverName = 'elsewhere';
  await t.throwsAsync(flush({ servers: server.url, tls: { caFile: at('ca.pem'), serverName } }), {
    message: /elsewhere/,
  });
});

test('a server that asks for a certificate gets one', async (t) => {
  const { url } = strict;
  const caFile = at('ca.pem');
  const mine = { certFile: at('client.pem'), keyFile: at('client.key') };
  await t.notThrowsAsync(flush({ servers: url, tls: { caFile, ...mine } }));
  await t.throwsAsync(flush({ servers: url, tls: { caFile } }), {
    instanceOf: BusUnavailableError,
  });
});

test('tls:// never falls back to a connection in the clear', async (t) => {
  await using plain = await startNatsServer();
  await t.throwsAsync(flush({ servers: `tls://127.0.0.1:${plain.port}` }), {
    instanceOf: BusUnavailableError,
    message: /The server has no TLS/,
  });
});

test('a certificate file that is not there is reported by its name', async (t) => {
  const attempt = flush({ servers: server.url, tls: { caFile: at('none.pem') } });
  await t.throwsAsync(attempt, { message: /certificate authority: .*none\.pem/ });
});
