import { nkeys } from '@nats-io/transport-node';

type KeyPair = ReturnType<typeof nkeys.createUser>;

/** What a server needs to trust the accounts of an operator, and what a user of one needs to enter. */
export interface JwtSetup {
  readonly config: readonly string[];
  /** Content of a creds file. */
  readonly creds: string;
  /** The secret in it. */
  readonly seed: string;
}

/** An operator with a system account, one more and a user of that, as `nsc` would make them. */
export function createJwtSetup(): JwtSetup {
  const operator = nkeys.createOperator();
  const account = nkeys.createAccount();
  // A server with JetStream needs one for its own messages.
  const systemAccount = nkeys.createAccount();
  const user = nkeys.createUser();
  const operatorJwt = writeJwt(operator, operator, { type: 'operator' });
  const limits = { subs: -1, data: -1, payload: -1, conn: -1, leaf: -1, imports: -1, exports: -1 };
  const jetStream = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
  const accountJwt = writeJwt(operator, account, {
    type: 'account',
    limits: { ...limits, wildcards: true, ...jetStream },
  });
  const systemJwt = writeJwt(operator, systemAccount, {
    type: 'account',
    limits: { ...limits, wildcards: true },
  });
  const userJwt = writeJwt(account, user, { type: 'user', subs: -1, data: -1, payload: -1 });
  const seed = Buffer.from(user.getSeed()).toString();
  return {
    config: [
      `operator: ${operatorJwt}`,
      'resolver: MEMORY',
      `system_account: ${systemAccount.getPublicKey()}`,
      `resolver_preload: { ${account.getPublicKey()}: ${accountJwt}, ${systemAccount.getPublicKey()}: ${systemJwt} }`,
    ],
    creds: `${block('NATS USER JWT', userJwt)}\n${block('USER NKEY SEED', seed)}`,
    seed,
  };
}

function writeJwt(issuer: KeyPair, subject: KeyPair, claims: object): string {
  const name = subject.getPublicKey();
  const body = {
    jti: name,
    iat: 1_700_000_000,
    iss: issuer.getPublicKey(),
    name,
    sub: name,
    nats: { ...claims, version: 2 },
  };
  const parts = [{ typ: 'JWT', alg: 'ed25519-nkey' }, body].map((part) =>
    Buffer.from(JSON.stringify(part)).toString('base64url'),
  );
  const text = parts.join('.');
  return `${text}.${Buffer.from(issuer.sign(Buffer.from(text))).toString('base64url')}`;
}

function block(title: string, content: string): string {
  return `-----BEGIN ${title}-----\n${content}\n------END ${title}------\n`;
}
