// Installs the engine tfjs-node where the download of libtensorflow is refused: its npm package alone, the library out of
// the Python wheel tensorflow-cpu, and the binding built by node-gyp. Linux on x64; needs python3 with pip, make and a C++
// compiler. It changes node_modules in the current folder, and no package.json.
//
//   node bench/tfjs-node/install.ts [--work DIR] [--wheel FILE.whl]
//
// DIR (default: a new temporary folder) takes 1.2 GB and has to stay: the binding loads the library from there.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { listEngines } from '../../compiler/index.ts';

const PACKAGE = '@tensorflow/tfjs-node@4.22.0';
/** Built with TensorFlow 2.9; of later versions 2.21 was tried, whose C interface is still the same. */
const WHEEL = 'tensorflow-cpu';

const { values } = parseArgs({ options: { work: { type: 'string' }, wheel: { type: 'string' } } });
const work = resolve(values.work ?? mkdtempSync(join(tmpdir(), 'codistill-tfjs-node-')));
mkdirSync(work, { recursive: true });

// As a development dependency, though none is saved: of an optional peer, as it is in this repository, npm says "up to date".
run('npm', ['install', '--no-save', '--save-dev', '--ignore-scripts', PACKAGE]);
const target = resolve('node_modules/@tensorflow/tfjs-node');
unpackWheel(values.wheel === undefined ? downloadWheel() : resolve(values.wheel));
linkLibrary();
buildBinding();
await report();

function downloadWheel(): string {
  run('python3', ['-m', 'pip', 'download', '--no-deps', '--dest', work, WHEEL]);
  const wheel = readdirSync(work).find((name) => /^tensorflow_cpu-.*\.whl$/.test(name));
  if (wheel === undefined) throw new Error(`pip left no wheel of ${WHEEL} in ${work}.`);
  return join(work, wheel);
}

/** Of the wheel only the library and the headers of its C interface with what they include. */
function unpackWheel(wheel: string): void {
  const script = `
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
kept = ("tensorflow/libtensorflow", "tensorflow/include/tensorflow/", "tensorflow/include/tsl/", "tensorflow/include/xla/")
wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(kept)])`;
  run('python3', ['-c', script, wheel, work]);
}

/** Puts the library where the package's own download would have put it, under the names that it links to. */
function linkLibrary(): void {
  const library = join(work, 'tensorflow');
  const deps = join(target, 'deps');
  rmSync(deps, { recursive: true, force: true });
  mkdirSync(join(deps, 'lib'), { recursive: true });
  symlinkSync(join(library, 'include'), join(deps, 'include'));
  for (const [name, file] of [
    ['libtensorflow_cc.so.2', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework.so.2', 'libtensorflow_framework.so.2'],
    ['libtensorflow.so', 'libtensorflow_cc.so.2'],
    ['libtensorflow_framework.so', 'libtensorflow_framework.so.2'],
  ] as const) {
    symlinkSync(join(library, file), join(deps, 'lib', name));
  }
}

function buildBinding(): void {
  // Where Node came with its headers, as the npm packages of Node do, none need be downloaded.
  const node = dirname(dirname(process.execPath));
  const headers = existsSync(join(node, 'include/node/node_api.h')) ? [`--nodedir=${node}`] : [];
  const module = ['--module_name=tfjs_binding', '--module_path=./lib/napi-v8'];
  const args = ['--yes', 'node-gyp@12', 'rebuild', '--napi_build_version=8', ...module, ...headers];
  run('npx', args, target);
  cpSync(join(target, 'build/lib/napi-v8'), join(target, 'lib/napi-v8'), { recursive: true });
}

async function report(): Promise<void> {
  const engine = (await listEngines()).find(({ name }) => name === 'tfjs-node');
  if (engine?.works !== true) throw new Error(`tfjs-node doesn't work: ${engine?.reason}`);
  console.log('The engine tfjs-node works. The library is in', work);
}

function run(command: string, args: readonly string[], cwd = process.cwd()): void {
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit' });
  if (status === 0) return;
  throw new Error(`${command} ${args[0]} failed: ${error?.message ?? `exit code ${status}`}`);
}
