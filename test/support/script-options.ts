import { parseArgs } from 'node:util';

export interface ScriptOptions {
  /** What `--name` was given, or its default. */
  text(name: string): string;
  has(name: string): boolean;
  /** @param least what it must be at least */
  whole(name: string, least: number): number;
  /** Ends the script: what it was given is wrong. */
  refuse(message: string): never;
}

/**
 * The options of a script: texts with their defaults, and flags. `--help` prints `help` and ends; a wrong option is said
 * with it, and the script ends with 2.
 */
export function readScriptOptions(
  help: string,
  texts: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
): ScriptOptions {
  const refuse = (message: string): never => {
    console.error(`${message}\n\n${help}`);
    process.exit(2);
  };
  const values = parse(texts, flags, refuse);
  const { help: isAsked } = values;
  if (isAsked === true) {
    console.log(help);
    process.exit();
  }
  const text = (name: string): string => String(values[name]);
  return {
    text,
    has: (name) => values[name] === true,
    whole(name, least) {
      const given = text(name);
      const number = Number(given);
      if (Number.isInteger(number) && number >= least && given !== '') return number;
      return refuse(`--${name} wants a whole number from ${least} up, got "${given}"`);
    },
    refuse,
  };
}

function parse(
  texts: Readonly<Record<string, string>>,
  flags: readonly string[],
  refuse: (message: string) => never,
): Readonly<Record<string, string | boolean | undefined>> {
  const options: Record<string, { type: 'string' | 'boolean'; default: string | boolean }> = {};
  for (const [name, value] of Object.entries(texts)) {
    options[name] = { type: 'string', default: value };
  }
  for (const name of [...flags, 'help']) options[name] = { type: 'boolean', default: false };
  try {
    return parseArgs({ options, strict: true }).values as Record<string, string | boolean>;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}
