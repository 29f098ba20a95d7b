/** Variables that make a process load code, or find another program under a name. */
const STEERING = /^(node|deno|ld|dyld|openssl|gconv|npm|python)_|^path$|^bash_env$/i;

/**
 * Code never comes over the bus, by a variable of a process neither: `NODE_OPTIONS` can carry a whole program.
 * @throws TypeError naming the variable
 */
export function checkForeignEnvironment(
  environment: Readonly<Record<string, string>> | undefined,
): void {
  const refused = Object.keys(environment ?? {}).find((name) => STEERING.test(name));
  if (refused === undefined) return;
  throw new TypeError(
    `the variable ${refused} decides what a process loads, so a node takes it from nobody else; set ` +
      'it where the node is started',
  );
}
