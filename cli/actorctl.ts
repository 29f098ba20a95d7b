#!/usr/bin/env node
import module from 'node:module';
import { cacheFolder } from '../file-cache.ts';

// Half of the time to a first step would go into stripping types and compiling. Nothing else may be imported here: it
// would be compiled before the cache is on. Deno has a cache of its own.
const folder = cacheFolder('compiled');
if (folder !== undefined) module.enableCompileCache?.(folder);
await import('./main.ts');
