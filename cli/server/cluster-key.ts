import { hkdfSync, randomBytes } from 'node:crypto';
import { UserInputError } from '../../errors.ts';
import { type CertificateAuthority, createAuthority } from './certificates.ts';

/** Whoever has the key can add servers to the cluster: one line of text, of which all secrets are made. */
export interface ClusterKey {
  readonly text: string;
  readonly clusterName: string;
  /** For nodes and jobs. */
  readonly client: Login;
  /** For who may call actors and look, and order nothing. */
  readonly caller: Login;
  /** For the server's own account: it sees all servers and may remove them from JetStream. */
  readonly system: Login;
  /** Between servers. */
  readonly route: Login;
  readonly authority: CertificateAuthority;
}

export interface Login {
  readonly user: string;
  readonly password: string;
}

const PREFIX = 'codistill-cluster-1.';
const SECRET_BYTES = 32;

export function createClusterKey(): ClusterKey {
  return parseClusterKey(PREFIX + randomBytes(SECRET_BYTES).toString('base64url'));
}

/** @throws UserInputError, which doesn't repeat the text. */
export function parseClusterKey(text: string): ClusterKey {
  const line = text.trim();
  const secret = Buffer.from(line.slice(PREFIX.length), 'base64url');
  if (!line.startsWith(PREFIX) || secret.length !== SECRET_BYTES) {
    throw new UserInputError(
      `This is no cluster key: expected one line that begins with ${PREFIX}, as cluster.key of the ` +
        'first machine has it.',
    );
  }
  const derive = (purpose: string): Buffer =>
    Buffer.from(hkdfSync('sha256', secret, 'codistill', purpose, SECRET_BYTES));
  const login = (user: string): Login => ({ user, password: derive(user).toString('base64url') });
  const id = derive('name').toString('hex').slice(0, 8);
  return {
    text: line,
    clusterName: `codistill-${id}`,
    client: login('codistill'),
    caller: login('caller'),
    system: login('system'),
    route: login('route'),
    authority: createAuthority(derive('authority'), `codistill cluster ${id}`),
  };
}
