import { UserInputError } from '../errors.ts';

interface Bench {
  /** What it takes, for `--help`; nothing where that is left out. */
  readonly usage?: string;
  run(args: readonly string[]): Promise<void>;
}

/** `npm run bench -- <name>`: measures one thing and prints it with all that the figure depends on. */
const benches: Readonly<Record<string, Bench>> = {
  step: {
    usage:
      '[CASE…] [--threads 1,2] [--turns 6] [--processor-time] [--no-compile] [--no-wasm] [--no-tfjs-node]\n' +
      'Compiled training steps beside PyTorch’s and TensorFlow.js’s. --turns 1 is a short try without warm-up.',
    run: async (args) => (await import('./step/step.ts')).benchStep(args),
  },
  teacher: {
    usage:
      '[lm-512|lm-1024] [--processor-time] [--no-cost] [--no-loss]\n' +
      'What teachers add to a training step, and what becomes of the loss.',
    run: async (args) => (await import('./step/teacher.ts')).benchTeacher(args),
  },
  compile: { run: async () => (await import('./compile.ts')).benchCompile() },
  calls: { run: async () => (await import('./calls/calls.ts')).benchCalls() },
  spawn: { run: async () => (await import('./spawn.ts')).benchSpawn() },
  scale: { run: async () => (await import('./scale.ts')).benchScale() },
  transfer: { run: async () => (await import('./transfer.ts')).benchTransfer() },
  objects: {
    usage: '[KB…]\nWhat one get of an object of each size takes.',
    run: async (args) => (await import('./objects.ts')).benchObjects(args),
  },
};

// As the compiler does: see loadOnnxruntime. Some benchmarks load the library themselves.
process.env.ORT_DISABLE_TELEMETRY ??= '1';

const [name, ...args] = process.argv.slice(2);
const bench = name === undefined ? undefined : benches[name];
if (bench === undefined) {
  const what = name === undefined ? 'Which benchmark?' : `There is no benchmark '${name}'.`;
  console.error(`${what} Choose one: npm run bench -- ${Object.keys(benches).join(' | ')}`);
  process.exitCode = 1;
} else if (args.includes('--help') || args.includes('-h')) {
  console.log(`npm run bench -- ${name} ${bench.usage ?? ''}`);
} else if (bench.usage === undefined && args.length > 0) {
  console.error(`The benchmark '${name}' takes no arguments.`);
  process.exitCode = 1;
} else {
  await bench.run(args).catch((error: NodeJS.ErrnoException) => {
    const isUsage = error instanceof UserInputError || error.code?.startsWith('ERR_PARSE_ARGS');
    if (!isUsage) throw error;
    console.error(`${error.message}\nnpm run bench -- ${name} ${bench.usage}`);
    process.exitCode = 1;
  });
}
