import { UserInputError } from '../../errors.ts';
import type { Resources } from '../../runtime/index.ts';

const byteUnits: Readonly<Record<string, number>> = {
  '': 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/**
 * What a node offers to actors: `cpu=4 gpu=1 memory=8GB camera=2`. Names other than cpu, gpu and memory
 * are custom resources. @throws UserInputError
 */
export function parseResources(words: readonly string[]): Resources {
  const known: { cpu?: number; gpu?: number; memoryBytes?: number } = {};
  const custom: Record<string, number> = {};
  for (const [name, text] of pairs('--resources', words)) {
    if (name === 'memory') known.memoryBytes = parseBytes(text);
    else if (name === 'cpu' || name === 'gpu') known[name] = parseAmount(name, text);
    else custom[name] = parseAmount(name, text);
  }
  return { ...known, ...(Object.keys(custom).length > 0 && { custom }) };
}

/** Labels of a node: `zone=attic disk=ssd`. @throws UserInputError */
export function parseLabels(words: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(pairs('--labels', words));
}

/** Names of variables, without values. @throws UserInputError */
export function parseVariableNames(names: readonly string[]): readonly string[] {
  for (const name of names) {
    if (/^[A-Za-z_]\w*$/.test(name)) continue;
    throw new UserInputError(
      `--allow-environment takes names of variables, several with blanks; got "${name.split('=')[0]}…". Who spawns ` +
        'an actor gives the values.',
    );
  }
  return names;
}

function pairs(flag: string, words: readonly string[]): readonly (readonly [string, string])[] {
  return words
    .flatMap((word) => word.split(','))
    .map((pair) => {
      const match = /^([\w./-]{1,64})=(.+)$/.exec(pair);
      if (match !== null) return [match[1]!, match[2]!] as const;
      throw new UserInputError(`${flag} takes name=value, several with blanks; got "${pair}".`);
    });
}

function parseAmount(name: string, text: string): number {
  const amount = Number(text);
  if (Number.isFinite(amount) && amount >= 0) return amount;
  throw new UserInputError(`--resources ${name}=… takes a number from 0 up, got "${text}".`);
}

function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text);
  const unit = match === null ? undefined : byteUnits[match[2]!];
  if (match !== null && unit !== undefined) return Math.floor(Number(match[1]) * unit);
  const units = Object.keys(byteUnits).filter(Boolean).join(', ');
  throw new UserInputError(
    `--resources memory=… takes bytes or a number with one of ${units}; got "${text}".`,
  );
}
