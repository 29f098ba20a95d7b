import { randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type TLSSocket } from 'node:tls';
import test from 'ava';
import { createAuthority } from '../../../cli/server/certificates.ts';

const secret = randomBytes(32);

test('an authority is the same for the same secret, and another for another', (t) => {
  const { certificate } = createAuthority(secret, 'one');
  t.is(createAuthority(secret, 'one').certificate, certificate);
  t.not(createAuthority(randomBytes(32), 'one').certificate, certificate);
  const parsed = new X509Certificate(certificate);
  t.true(parsed.ca);
  t.true(parsed.verify(parsed.publicKey));
});

test('a certificate names its hosts and is signed by its authority', (t) => {
  const authority = createAuthority(secret, 'one');
  const issued = new X509Certificate(
    authority.issue(['node-1', '10.0.0.5', 'fe80::1', '::ffff:1.2.3.4']).certificate,
  );
  const root = new X509Certificate(authority.certificate);
  t.true(issued.checkIssued(root));
  t.true(issued.verify(root.publicKey));
  t.is(issued.checkHost('node-1'), 'node-1');
  t.is(issued.checkHost('node-2'), undefined);
  for (const ip of ['10.0.0.5', 'fe80::1']) t.is(issued.checkIP(ip), ip);
  t.regex(issued.subjectAltName ?? '', /IP Address:0:0:0:0:0:FFFF:102:304/);
  t.is(issued.checkIP('10.0.0.6'), undefined);
});

/** What a client that trusts `ca` gets from a server with `certificate`. */
async function handshake(options: {
  readonly ca: string;
  readonly server: { readonly certificate: string; readonly key: string };
  readonly name: string;
}): Promise<string> {
  const { certificate, key } = options.server;
  const server = createServer({ cert: certificate, key }, (socket) => void socket.end('hello'));
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const socket: TLSSocket = connect({
    host: '127.0.0.1',
    port,
    ca: options.ca,
    servername: options.name,
  });
  try {
    const [data] = (await once(socket, 'data')) as [Buffer];
    return data.toString();
  } finally {
    socket.destroy();
    server.close();
  }
}

test('TLS takes the certificate by the right authority, for the right name only', async (t) => {
  const authority = createAuthority(secret, 'one');
  const server = authority.issue(['node-1']);
  const ca = authority.certificate;
  t.is(await handshake({ ca, server, name: 'node-1' }), 'hello');
  await t.throwsAsync(handshake({ ca, server, name: 'node-2' }), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
  const other = createAuthority(randomBytes(32), 'one').certificate;
  await t.throwsAsync(handshake({ ca: other, server, name: 'node-1' }));
});
