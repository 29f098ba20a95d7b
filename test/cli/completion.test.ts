import { execFileSync } from 'node:child_process';
import test from 'ava';
import { type CompletionShell, createCompletion } from '../../cli/completion.ts';
import { createOutput } from '../../cli/output/output.ts';
import { createProgram } from '../../cli/program.ts';

const { stdout, stderr } = process;
const environment = { cwd: '.', stdout, stderr, now: () => 0, date: () => new Date(0) };
const program = createProgram({ output: createOutput(environment, {}), environment }, () => {});

function script(shell: CompletionShell): string {
  return createCompletion(program, shell, { job: ['one-example', 'other-example'] });
}

/** What a real bash offers for the last of the words. */
function completeInBash(...words: readonly string[]): readonly string[] {
  const line = `${script('bash')}
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _actorctl
    printf '%s\\n' "\${COMPREPLY[@]}"`;
  const text = execFileSync('bash', ['--norc', '-c', line, 'bash', 'actorctl', ...words], {
    encoding: 'utf8',
  });
  return text.split('\n').filter((word) => word !== '');
}

const cases: readonly (readonly [readonly string[], readonly string[]])[] = [
  [['ru'], ['run']],
  [['act'], ['actors']],
  [['--vers'], ['--version']],
  [
    ['run', ''],
    ['one-example', 'other-example'],
  ],
  [['run', 'ot'], ['other-example']],
  [['run', '--st'], ['--steps']],
  [['run', 'one-example', '--run'], ['--run-dir']],
  [['events', '--wa'], ['--watch']],
  [['doctor', '--wa'], []],
  [
    ['completion', ''],
    ['bash', 'zsh', 'fish'],
  ],
  [['help', 'res'], ['resume']],
  [
    ['plan', ''],
    ['check', 'show'],
  ],
  [['status', ''], []],
  // The value of an option: files, which bash adds by itself.
  [['run', '--data', 'one'], []],
];

for (const [words, offered] of cases) {
  test(`bash offers ${offered.join(', ') || 'only files'} after "actorctl ${words.join(' ')}"`, (t) => {
    t.deepEqual(completeInBash(...words), offered);
  });
}

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  test(`the script for ${shell} has every command and every option`, (t) => {
    const text = script(shell);
    for (const command of program.commands) {
      t.regex(text, new RegExp(`\\b${command.name()}\\b`));
      for (const { long } of command.options) {
        const flag = shell === 'fish' ? `-l ${long?.slice(2)}` : String(long);
        t.true(text.includes(flag), `${command.name()} ${long}`);
      }
    }
  });
}
