/** `npm run bench -- <name>`: measures one thing and prints it with all that the figure depends on. */
const benches: Readonly<Record<string, (args: readonly string[]) => Promise<void>>> = {
  step: async (args) => (await import('./step/step.ts')).benchStep(args),
  teacher: async (args) => (await import('./step/teacher.ts')).benchTeacher(args),
  compile: async () => (await import('./compile.ts')).benchCompile(),
  calls: async () => (await import('./calls/calls.ts')).benchCalls(),
  spawn: async () => (await import('./spawn.ts')).benchSpawn(),
  scale: async () => (await import('./scale.ts')).benchScale(),
  transfer: async () => (await import('./transfer.ts')).benchTransfer(),
  objects: async (args) => (await import('./objects.ts')).benchObjects(args),
};

// As the compiler does: see loadOnnxruntime. Some benchmarks load the library themselves.
process.env.ORT_DISABLE_TELEMETRY ??= '1';

const [name, ...args] = process.argv.slice(2);
const bench = name === undefined ? undefined : benches[name];
if (bench === undefined) {
  const what = name === undefined ? 'Which benchmark?' : `There is no benchmark '${name}'.`;
  console.error(`${what} Choose one: npm run bench -- ${Object.keys(benches).join(' | ')}`);
  process.exitCode = 1;
} else {
  await bench(args);
}
