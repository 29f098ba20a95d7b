import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { isIP } from 'node:net';

/** A certificate and its private key, in PEM. */
export interface Certificate {
  readonly certificate: string;
  readonly key: string;
}

/** Signs the certificates of one cluster's servers. */
export interface CertificateAuthority {
  /** In PEM; the same for the same secret. */
  readonly certificate: string;
  /** For a server that is also a client of its fellows; `hosts` are names or IP addresses. */
  issue(hosts: readonly string[]): Certificate;
}

// As long as UTCTime reaches. What ends a membership is a new cluster key, not a date.
const VALID_FROM = '200101000000Z';
const VALID_TO = '491231235959Z';

/** RFC 8410: what precedes the 32 bytes of an Ed25519 key in its PKCS #8 form. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

const oids = {
  ed25519: '06032b6570',
  commonName: '0603550403',
  subjectKeyId: '0603551d0e',
  keyUsage: '0603551d0f',
  alternativeNames: '0603551d11',
  basicConstraints: '0603551d13',
  authorityKeyId: '0603551d23',
  extendedKeyUsage: '0603551d25',
  serverAuth: '06082b06010505070301',
  clientAuth: '06082b06010505070302',
};

const TRUE = tlv(0x01, Buffer.of(0xff));

/**
 * An authority whose Ed25519 key is the secret itself, so that all who know the secret are the same authority.
 * Writes X.509 version 3 (RFC 5280, RFC 8410), which Node has no function for.
 *
 * @param secret 32 bytes
 */
export function createAuthority(secret: Uint8Array, name: string): CertificateAuthority {
  const der = Buffer.concat([PKCS8_PREFIX, secret]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key);
  const authority = { name, key, publicKey };
  const usage = bitString(1, 0b0000_0110);
  const certificate = signCertificate(authority, authority, {
    serial: Buffer.of(1),
    extensions: [
      extension(oids.basicConstraints, sequence(TRUE), { critical: true }),
      extension(oids.keyUsage, usage, { critical: true }),
    ],
  });
  return {
    certificate,
    issue(hosts) {
      const server = generateKeyPairSync('ed25519');
      const subject = { name: hosts[0] ?? name, publicKey: server.publicKey };
      const extensions = [
        extension(oids.keyUsage, bitString(7, 0b1000_0000), { critical: true }),
        extension(oids.extendedKeyUsage, sequence(hex(oids.serverAuth), hex(oids.clientAuth))),
        extension(oids.alternativeNames, sequence(...hosts.map(alternativeName))),
      ];
      const serial = Buffer.of(1, ...randomBytes(15));
      return {
        certificate: signCertificate(authority, subject, { serial, extensions }),
        key: server.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      };
    },
  };
}

interface Party {
  readonly name: string;
  readonly publicKey: KeyObject;
}

function signCertificate(
  issuer: Party & { readonly key: KeyObject },
  subject: Party,
  { serial, extensions }: { readonly serial: Buffer; readonly extensions: readonly Buffer[] },
): string {
  const algorithm = sequence(hex(oids.ed25519));
  const content = sequence(
    tlv(0xa0, integer(Buffer.of(2))),
    integer(serial),
    algorithm,
    distinguishedName(issuer.name),
    sequence(utcTime(VALID_FROM), utcTime(VALID_TO)),
    distinguishedName(subject.name),
    subject.publicKey.export({ format: 'der', type: 'spki' }),
    tlv(
      0xa3,
      sequence(
        ...extensions,
        extension(oids.subjectKeyId, tlv(0x04, keyId(subject.publicKey))),
        extension(oids.authorityKeyId, sequence(tlv(0x80, keyId(issuer.publicKey)))),
      ),
    ),
  );
  const signature = sign(undefined, content, issuer.key);
  const der = sequence(content, algorithm, tlv(0x03, Buffer.of(0), signature));
  const lines = der.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

function distinguishedName(name: string): Buffer {
  const entry = sequence(hex(oids.commonName), tlv(0x0c, Buffer.from(name)));
  return sequence(tlv(0x31, entry));
}

function extension(
  oid: string,
  value: Buffer,
  { critical = false }: { readonly critical?: boolean } = {},
): Buffer {
  return sequence(hex(oid), ...(critical ? [TRUE] : []), tlv(0x04, value));
}

function alternativeName(host: string): Buffer {
  const version = isIP(host);
  if (version === 0) return tlv(0x82, Buffer.from(host));
  return tlv(0x87, version === 4 ? Buffer.from(host.split('.').map(Number)) : ipv6Bytes(host));
}

function ipv6Bytes(host: string): Buffer {
  // The URL parser knows all ways to write an address, an IPv4 one at its end among them.
  const [head = '', tail] = new URL(`http://[${host}]`).hostname.slice(1, -1).split('::');
  const groups = (part: string | undefined) => (part ? part.split(':') : []);
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail)];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

function keyId(key: KeyObject): Buffer {
  return createHash('sha1')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest();
}

function integer(bytes: Buffer): Buffer {
  return tlv(0x02, bytes);
}

function bitString(unusedBits: number, byte: number): Buffer {
  return tlv(0x03, Buffer.of(unusedBits, byte));
}

function utcTime(text: string): Buffer {
  return tlv(0x17, Buffer.from(text));
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, ...parts);
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

/** A DER element: tag, length, value. */
function tlv(tag: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  const length = value.length;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), value]);
  const bytes = length < 0x100 ? [length] : [length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, 0x80 | bytes.length, ...bytes), value]);
}
