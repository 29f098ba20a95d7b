import { registerHooks } from 'node:module';

/**
 * Lets a user's file outside of this package import what the examples import, also where codistill isn't
 * installed. The normal resolution goes first, so an own installation always wins. Loaded with
 * `--import` too, in the processes of actors that such a file declares.
 */
const offered = /^(codistill|valibot|@tensorflow\/tfjs-core)(\/|$)/;

const insidePackage = new URL('../package.json', import.meta.url).href;
const missing = new Set(['ERR_MODULE_NOT_FOUND', 'MODULE_NOT_FOUND']);

registerHooks({
  resolve(specifier, context, nextResolve) {
    try {
      return nextResolve(specifier, context);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (!offered.test(specifier) || code === undefined || !missing.has(code)) throw error;
      return nextResolve(specifier, { ...context, parentURL: insidePackage });
    }
  },
});
