import { type AnyActorDefinition, isActorDefinition } from '../actor.ts';

/** Imports the modules one by one until one exports a definition of the type. */
export async function findDefinition(
  modules: readonly string[],
  type: string,
): Promise<AnyActorDefinition | undefined> {
  for (const url of modules) {
    for (const definition of await definitionsOf(url)) {
      if (definition.type === type) return definition;
    }
  }
  return undefined;
}

/** The actor definitions that a module exports. @throws whatever importing it throws. */
export async function definitionsOf(url: string): Promise<readonly AnyActorDefinition[]> {
  const exported: Record<string, unknown> = await import(url);
  return Object.values(exported).filter(isActorDefinition);
}
