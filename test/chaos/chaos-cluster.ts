import { freePorts, type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';

/** Three servers; every link between two of them, and of each host to each server, can be cut. */
export interface ChaosCluster extends AsyncDisposable {
  readonly servers: readonly NatsServer[];
  /** Links of its own for one host, to all servers. */
  connectHost(): Promise<HostLinks>;
  /** Cuts or heals the routes between one server and the others. */
  setIsolated(server: number, isolated: boolean): void;
}

export interface HostLinks extends AsyncDisposable {
  readonly urls: readonly string[];
  setCut(cut: boolean): void;
}

const SIZE = 3;

export async function startChaosCluster(): Promise<ChaosCluster> {
  const ports = await freePorts(SIZE);
  const stack = new AsyncDisposableStack();
  try {
    const links = await linkServers(ports, stack);
    const starting = ports.map((port, index) => {
      const routes = links.filter(({ from }) => from === index).map(({ proxy }) => proxy.port);
      const cluster = {
        name: 'codistill-chaos',
        routes: routes.map((route) => `nats://127.0.0.1:${route}`),
        port,
        // Clients and servers must not learn of addresses that lead past the links.
        config: ['no_advertise: true', 'cluster_advertise: "127.0.0.1:1"'],
      };
      const config = ['ping_interval: "1s"', 'ping_max: 2'];
      return startNatsServer({ cluster, config, name: `server-${index + 1}` });
    });
    const servers = await Promise.all(starting);
    for (const server of servers) stack.use(server);
    return {
      servers,
      async connectHost() {
        const proxies = await Promise.all(servers.map(({ port }) => startTcpProxy(port)));
        return {
          urls: proxies.map(({ port }) => `nats://127.0.0.1:${port}`),
          setCut: (cut) => setCut(proxies, cut),
          async [Symbol.asyncDispose]() {
            await Promise.all(proxies.map((proxy) => proxy[Symbol.asyncDispose]()));
          },
        };
      },
      setIsolated(server, isolated) {
        const touched = links.filter(({ from, to }) => from === server || to === server);
        setCut(
          touched.map(({ proxy }) => proxy),
          isolated,
        );
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

interface Link {
  readonly from: number;
  readonly to: number;
  readonly proxy: TcpProxy;
}

async function linkServers(
  ports: readonly number[],
  stack: AsyncDisposableStack,
): Promise<readonly Link[]> {
  const links: Link[] = [];
  for (const from of ports.keys()) {
    for (const [to, port] of ports.entries()) {
      if (from === to) continue;
      links.push({ from, to, proxy: stack.use(await startTcpProxy(port)) });
    }
  }
  return links;
}

function setCut(proxies: readonly TcpProxy[], cut: boolean): void {
  for (const proxy of proxies) {
    if (cut) proxy.cut();
    else proxy.heal();
  }
}
