import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { type AnyActorDefinition, declaredIn, isActorDefinition } from '../actor.ts';

/** A module that is evaluated already is there at once. */
const EVALUATED_MS = 200;
/** For one that loads large libraries, on a busy machine. */
const IMPORT_TIMEOUT_MS = 30_000;
/** What the process was started with runs already, with all that it imports: it waits for us, or for little else. */
const MAIN_TIMEOUT_MS = 3_000;

/** What this process, an actor's, imports now to find its actor. */
let importing: string | undefined;

/** Imports the modules one by one until one exports a definition of the type. */
export async function findDefinition(
  modules: readonly string[],
  type: string,
): Promise<AnyActorDefinition | undefined> {
  for (const url of modules) {
    const definition = (await definitionsOf(url)).find((each) => each.type === type);
    if (definition !== undefined) return definition;
  }
  return undefined;
}

/** The same in an actor's process, where no module may start a system while it is imported. */
export async function findOwnDefinition(
  modules: readonly string[],
  type: string,
): Promise<AnyActorDefinition | undefined> {
  for (const url of modules) {
    importing = url;
    const exported = await importDefinitions(url).finally(() => {
      importing = undefined;
    });
    const definition = exported.find((each) => each.type === type);
    if (definition !== undefined) return definition;
  }
  return undefined;
}

/** @throws TypeError in an actor's process whose module is still being imported: it would start itself for ever. */
export function checkNotImporting(): void {
  if (importing === undefined) return;
  throw new TypeError(
    `${importing} calls createSystem while the process of an actor imports it to find the actor: ` +
      'call createSystem inside `if (import.meta.main) { … }`, or move the actors to a module of their own',
  );
}

/**
 * The actor definitions that a module exports. Of one that is still being evaluated, because it waits
 * at its top level for the caller, those that it has declared so far.
 * @throws whatever importing it throws; TypeError when it waits and has declared none.
 */
export async function definitionsOf(url: string): Promise<readonly AnyActorDefinition[]> {
  const isBegun = declaredIn(url).length > 0;
  const limitMs = isMain(url) ? MAIN_TIMEOUT_MS : IMPORT_TIMEOUT_MS;
  const imported = importDefinitions(url);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, isBegun ? EVALUATED_MS : limitMs, undefined);
  });
  try {
    const exported = await Promise.race([imported, late]);
    if (exported !== undefined) return exported;
  } finally {
    clearTimeout(timer);
  }
  // What it throws later is thrown to whoever evaluates it.
  imported.catch(() => {});
  const soFar = declaredIn(url);
  if (soFar.length > 0) return soFar;
  throw new TypeError(
    `module ${url} is not evaluated after ${limitMs} ms: if it awaits createSystem at its top level, ` +
      'declare its actors (defineActor) above that line, or in a module of their own',
  );
}

function isMain(url: string): boolean {
  const [, script] = process.argv;
  try {
    return script !== undefined && pathToFileURL(realpathSync(script)).href === url;
  } catch {
    return false;
  }
}

async function importDefinitions(url: string): Promise<readonly AnyActorDefinition[]> {
  const exported: Record<string, unknown> = await import(url);
  return Object.values(exported).filter(isActorDefinition);
}
