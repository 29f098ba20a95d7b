/** What other hosts may set: no program that a process loads or starts is named by such a variable. */
const OPEN = /^ACTOR_\w+$/;

/**
 * Code never comes over the bus, by a variable of a process neither: `NODE_OPTIONS` can carry a whole program.
 * So only `ACTOR_…` comes from other hosts, and what this host has `allowed` itself.
 * @throws TypeError naming the variable
 */
export function checkForeignEnvironment(
  environment: Readonly<Record<string, string>> | undefined,
  allowed: readonly string[],
): void {
  const names = Object.keys(environment ?? {});
  const refused = names.find((name) => !OPEN.test(name) && !allowed.includes(name));
  if (refused === undefined) return;
  throw new TypeError(
    `this host takes no variable ${refused} from others, as some decide what a process loads: only ACTOR_… and ` +
      'those that its node was started with (actorctl node --allow-environment NAME; allowEnvironment of createSystem)',
  );
}
