import type { Command, Option } from 'commander';

export type CompletionShell = 'bash' | 'zsh' | 'fish';

/** What there is to complete, read off the program so that no list is kept by hand. */
interface CommandWords {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionWords[];
  /** For its first argument, besides files. */
  readonly words: readonly string[];
  /** Its arguments may be files too. */
  readonly takesFiles: boolean;
}

interface OptionWords {
  readonly long: string | undefined;
  readonly short: string | undefined;
  readonly description: string;
  readonly takesValue: boolean;
  readonly mayStandAlone: boolean;
}

/**
 * A script that teaches a shell to complete the program's commands, options and arguments. `suggestions` are
 * words for arguments of a name; arguments with choices need none.
 */
export function createCompletion(
  program: Command,
  shell: CompletionShell,
  suggestions: { readonly [argument: string]: readonly string[] },
): string {
  const help = program.createHelp();
  const visible = help.visibleCommands(program);
  // Of `help`.
  const words: typeof suggestions = {
    ...suggestions,
    command: visible.map((command) => command.name()),
  };
  const commands = visible.map((command): CommandWords => {
    const [first] = command.registeredArguments;
    const inner = command.commands.map((each) => each.name());
    return {
      name: command.name(),
      description: command.description(),
      options: help.visibleOptions(command).map(readOption),
      words: first === undefined ? inner : (first.argChoices ?? words[first.name()] ?? []),
      takesFiles: inner.length > 0 || (first !== undefined && first.argChoices === undefined),
    };
  });
  const options = help.visibleOptions(program).map(readOption);
  const write = { bash: writeBash, zsh: writeZsh, fish: writeFish }[shell];
  return write(program.name(), commands, options);
}

function readOption({ long, short, description, required, optional }: Option): OptionWords {
  return { long, short, description, takesValue: required || optional, mayStandAlone: optional };
}

function writeBash(
  name: string,
  commands: readonly CommandWords[],
  options: readonly OptionWords[],
): string {
  const cases = commands.map((command) => {
    const valued = command.options.filter((option) => option.takesValue && !option.mayStandAlone);
    return `    ${command.name})
      options='${flagsOf(command.options)}'
      valued=' ${flagsOf(valued)} '
      words='${command.words.join(' ')}' ;;`;
  });
  return `# source <(${name} completion bash)
_${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local command options valued words word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word != -* ]]; then command=$word; break; fi
  done
  case $command in
    '')
      options='${flagsOf(options)}'
      words='${commands.map(({ name }) => name).join(' ')}' ;;
${cases.join('\n')}
  esac
  COMPREPLY=()
  # An option's value and what is not among the words is left to the completion of files.
  if [[ $valued == *" $previous "* ]]; then return; fi
  if [[ $current == -* ]]; then words=$options; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F _${name} ${name}
`;
}

function writeZsh(
  name: string,
  commands: readonly CommandWords[],
  options: readonly OptionWords[],
): string {
  const specification = (option: OptionWords, flag: string): string => {
    const value = option.takesValue ? `${option.mayStandAlone ? '::' : ':'}value:_files` : '';
    return `'*${flag}[${quoteZsh(option.description)}]${value}'`;
  };
  const list = (all: readonly OptionWords[]): readonly string[] =>
    all.flatMap((option) => flagListOf(option).map((flag) => specification(option, flag)));
  const cases = commands.map((command) => {
    const words = command.words.length === 0 ? [] : [`'1:word:(${command.words.join(' ')})'`];
    const files = command.takesFiles ? ["'*:file:_files'"] : [];
    const parts = [...list(command.options), ...words, ...files];
    return `        ${command.name}) _arguments ${parts.join(' ')} ;;`;
  });
  const described = commands.map((command) => `'${command.name}:${quoteZsh(command.description)}'`);
  return `#compdef ${name}
# source <(${name} completion zsh)
_${name}() {
  local state line
  local -a commands=(${described.join(' ')})
  _arguments -C ${list(options).join(' ')} '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
${cases.join('\n')}
      esac ;;
  esac
}
# As a file in fpath it is run when it is wanted for the first time.
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function writeFish(
  name: string,
  commands: readonly CommandWords[],
  options: readonly OptionWords[],
): string {
  const describe = (text: string): string => `-d '${text.replaceAll(/['\\]/g, '\\$&')}'`;
  const flags = ({ long, short, takesValue, mayStandAlone }: OptionWords): string =>
    [
      ...(long === undefined ? [] : [`-l ${long.slice(2)}`]),
      ...(short === undefined ? [] : [`-s ${short.slice(1)}`]),
      ...(takesValue && !mayStandAlone ? ['-r', '-F'] : []),
    ].join(' ');
  const lines = options.map(
    (option) => `-n __fish_use_subcommand ${flags(option)} ${describe(option.description)}`,
  );
  for (const command of commands) {
    const seen = `-n '__fish_seen_subcommand_from ${command.name}'`;
    lines.push(`-n __fish_use_subcommand -f -a ${command.name} ${describe(command.description)}`);
    for (const option of command.options) {
      lines.push(`${seen} ${flags(option)} ${describe(option.description)}`);
    }
    if (!command.takesFiles) lines.push(`${seen} -f`);
    if (command.words.length > 0) lines.push(`${seen} -a '${command.words.join(' ')}'`);
  }
  const script = lines.map((line) => `complete -c ${name} ${line}`).join('\n');
  return `# ${name} completion fish | source\n${script}\n`;
}

function flagListOf({ long, short }: OptionWords): readonly string[] {
  return [short, long].filter((flag) => flag !== undefined);
}

function flagsOf(options: readonly OptionWords[]): string {
  return options.flatMap(flagListOf).join(' ');
}

/** Inside single quotes, in a description that brackets or a colon would end. */
function quoteZsh(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, '\\$&').replaceAll("'", "'\\''");
}
