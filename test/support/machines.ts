/** Machines as the network sees them: network namespaces of Linux on one bridge, which only root may make. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface Machine {
  readonly address: string;
  /** What a command line begins with that is to run there. */
  readonly prefix: readonly string[];
}

export interface Machines extends AsyncDisposable {
  readonly all: readonly Machine[];
  /** Nothing reaches this machine any more, and it nothing. */
  unplug(machine: Machine): Promise<void>;
}

/** Why there can be none here, in words; undefined where they can be. */
export async function whyNoMachines(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    return 'network namespaces take Linux and root';
  }
  try {
    await (await createMachines(1))[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return `network namespaces can't be made: ${(error as Error).message}`;
  }
}

/** Machines at 10.87.0.1 and up, all on one network that nothing else is on. */
export async function createMachines(count: number): Promise<Machines> {
  const wire = `codistill-${process.pid}-wire`;
  const names = Array.from(
    { length: count },
    (_, index) => `codistill-${process.pid}-${index + 1}`,
  );
  const dispose = async (): Promise<void> => {
    for (const name of [...names, wire]) await ip('netns', 'del', name).catch(() => {});
  };
  try {
    await ip('netns', 'add', wire);
    await ip('-n', wire, 'link', 'add', 'bridge', 'type', 'bridge');
    await ip('-n', wire, 'link', 'set', 'bridge', 'up');
    const all: Machine[] = [];
    for (const [index, name] of names.entries()) {
      const [address, plug] = [`10.87.0.${index + 1}`, `plug${index + 1}`];
      await ip('netns', 'add', name);
      const far = ['peer', 'name', 'net', 'netns', name];
      await ip('-n', wire, 'link', 'add', plug, 'type', 'veth', ...far);
      await ip('-n', wire, 'link', 'set', plug, 'master', 'bridge', 'up');
      await ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'net');
      for (const device of ['lo', 'net']) await ip('-n', name, 'link', 'set', device, 'up');
      all.push({ address, prefix: ['ip', 'netns', 'exec', name] });
    }
    return {
      all,
      unplug: (machine) => ip('-n', wire, 'link', 'set', `plug${all.indexOf(machine) + 1}`, 'down'),
      [Symbol.asyncDispose]: dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  await execute('ip', args);
}
