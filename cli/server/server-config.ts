import type { ClusterKey } from './cluster-key.ts';

/** In the certificates of all servers of a cluster, so that clients need not know each address. */
export const SERVER_NAME = 'codistill-server';
/** The client library takes chunks of 256 KB; a larger limit was measured to bring nothing. */
const PAYLOAD_LIMIT = '1MB';
/** Answers to callers: nobody who only calls sees what is answered to others than these. */
export const CALLER_INBOX = '_INBOX_caller';
/** Of who may call actors and look, and order nothing; the last is where large values come from. */
const CALLER_PUBLISHES = [
  ...['codistill.*.actor.*', 'codistill.*.locate', 'codistill.*.locate.*'],
  ...['codistill.*.inspect', 'codistill.*.inspect.*', '$SRV.>', '_INBOX.>'],
];
const CALLER_HEARS = ['codistill.*.actor.*.state', 'codistill.*.events', `${CALLER_INBOX}.>`];
const SETTINGS_SUBJECT = '"$SYS.REQ.SERVER.PING.JSZ"';

/** One nats-server as `actorctl up` runs it. Ports 0 are chosen by the server. */
export interface ServerConfig {
  readonly name: string;
  readonly key: ClusterKey;
  /** The address to listen on. */
  readonly host: string;
  readonly clientPort: number;
  readonly routePort: number;
  /** What others are told, where that isn't `host`. */
  readonly advertise: string;
  /** `host:port` of other servers' routes. One at least: JetStream wants it. */
  readonly routes: readonly string[];
  readonly storeDir: string;
  /** Present: everything is encrypted. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
  readonly pidFile: string;
  /** A witness: it votes, is known to no client, and holds as little as it can. */
  readonly witness: boolean;
}

/** The configuration file. It holds passwords, so that they are in no process's arguments. */
export function formatServerConfig(config: ServerConfig): string {
  const { key, host, clientPort, routePort, advertise, witness } = config;
  const quote = (text: string): string => JSON.stringify(text);
  const user = ({ user, password }: ClusterKey['client']): string =>
    `{ user: ${quote(user)}, password: ${quote(password)} }`;
  const routeLogin = `${key.route.user}:${key.route.password}`;
  const routes = config.routes.map((route) => quote(`nats-route://${routeLogin}@${route}`));
  const clientHost = witness ? '127.0.0.1' : host;
  return `# Written by actorctl up at each start. It holds passwords: keep it to yourself.
server_name: ${quote(config.name)}
listen: ${quote(formatAddress(clientHost, clientPort || -1))}
${witness ? '' : `client_advertise: ${quote(formatAddress(advertise, clientPort))}`}
pid_file: ${quote(config.pidFile)}
max_payload: ${PAYLOAD_LIMIT}
jetstream {
  store_dir: ${quote(config.storeDir)}
  # What is acknowledged is on the disk.
  sync_interval: always
  ${witness ? 'max_file_store: 16MB, max_memory_store: 16MB' : ''}
}
system_account: SYSTEM
accounts {
  SYSTEM {
    users: [ ${user(key.system)} ]
    exports: [ { service: ${SETTINGS_SUBJECT}, response: stream } ]
  }
  CODISTILL {
    jetstream: enabled
    users: [
      ${user(key.client)}
      {
        user: ${quote(key.caller.user)}, password: ${quote(key.caller.password)}
        permissions: {
          publish: ${JSON.stringify(CALLER_PUBLISHES)}
          subscribe: ${JSON.stringify(CALLER_HEARS)}
        }
      }
    ]
    # Lets doctor see how JetStream is set.
    imports: [ { service: { account: SYSTEM, subject: ${SETTINGS_SUBJECT} } } ]
  }
}
cluster {
  name: ${quote(key.clusterName)}
  listen: ${quote(formatAddress(host, routePort))}
  cluster_advertise: ${quote(formatAddress(advertise, routePort))}
  ${witness ? 'no_advertise: true' : ''}
  authorization ${user(key.route)}
  routes: [ ${routes.join(', ')} ]
  ${formatTls(config)}
}
${formatTls(config)}
`;
}

function formatTls({ tls }: ServerConfig): string {
  if (tls === undefined) return '';
  const files = { cert_file: tls.certFile, key_file: tls.keyFile, ca_file: tls.caFile };
  const lines = Object.entries(files).map(([name, path]) => `${name}: ${JSON.stringify(path)}`);
  return `tls { ${lines.join(', ')} }`;
}

/** `host:port`, with an IPv6 address in brackets. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
