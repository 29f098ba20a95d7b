import { UserInputError } from '../../errors.ts';
import { createSystem, type NodeInfo, type System } from '../../runtime/index.ts';
import { type ExitCode, exitCodes } from '../exit-codes.ts';
import type { CommandContext } from '../program.ts';
import { type NatsFlags, parseNatsFlags } from './nats-address.ts';

export interface DrainFlags extends NatsFlags {
  readonly namespace?: string;
  /** Seconds. */
  readonly timeout: number;
}

/** Nodes tell of themselves each second. */
const lookMs = 3000;

/**
 * `actorctl drain NODE`: the node takes no new actors, lets those it has finish what is in hand, hands them to
 * other nodes and leaves.
 */
export async function drainCommand(
  nameOrId: string,
  flags: DrainFlags,
  { output }: CommandContext,
): Promise<ExitCode> {
  const nats = parseNatsFlags(flags);
  if (nats === undefined) throw new UserInputError('Which server? Give --nats URL.');
  await using system = await createSystem({
    bus: { nats },
    nodeName: 'actorctl drain',
    // No actor is to come here.
    resources: {},
    ...(flags.namespace !== undefined && { namespace: flags.namespace }),
  });
  const { nodeId, nodeName } = await findNode(system, nameOrId);
  output.message(`${nodeName} finishes, moves its actors and leaves.`, {
    type: 'node',
    event: 'draining',
    node: nodeId,
  });
  await system.drainNode(nodeId, { timeoutMs: flags.timeout * 1000 });
  output.message(`${nodeName} has left.`, { type: 'node', event: 'left', node: nodeId });
  return exitCodes.ok;
}

/** @throws UserInputError when no node, or more than one, has that name or id. */
async function findNode(system: System, nameOrId: string): Promise<NodeInfo> {
  const giveUpAt = performance.now() + lookMs;
  for (let count = 2; ; count += 1) {
    const others = system.nodes().filter(({ self }) => !self);
    const found = others.filter(
      ({ nodeId, nodeName }) => nodeId === nameOrId || nodeName === nameOrId,
    );
    if (found.length > 1) {
      const ids = found.map(({ nodeId }) => nodeId).join(', ');
      throw new UserInputError(`Several nodes are called ${nameOrId}; name one by its id: ${ids}.`);
    }
    if (found[0] !== undefined) return found[0];
    const timeoutMs = Math.max(1, giveUpAt - performance.now());
    const more = await system.waitForNodes(count, { timeoutMs }).catch(() => undefined);
    if (more !== undefined) continue;
    const names = others.map(({ nodeName }) => nodeName).join(', ') || 'none';
    throw new UserInputError(`There is no node ${nameOrId}. There are: ${names}.`);
  }
}
