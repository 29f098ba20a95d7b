import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ExitCode } from '../exit-codes.ts';
import type { CommandContext } from '../program.ts';
import { addNatsOptions } from '../server/nats-address.ts';
import type { ChurnFlags } from './churn-command.ts';
import type { StudyFlags } from './study-command.ts';

/** Adds the commands that compare trainings with one another. */
export function addStudyCommands(
  program: Command,
  context: CommandContext,
  done: (code: ExitCode) => void,
): void {
  addStudy(program, context, done);
  addChurn(program, context, done);
}

function addStudy(program: Command, context: CommandContext, done: (code: ExitCode) => void): void {
  const command = program
    .command('study')
    .description('compare ways to train: several arms, each with several seeds')
    .argument('[study]', 'NAME of one, or FILE.ts whose default export is one; none: list them')
    .option('--data <paths...>', "for the job's data option")
    .option('--set <key=value...>', 'an option of the job, in all arms')
    .addOption(
      new Option('--scale <scale>', 'for two cores or for a large machine').choices([
        'small',
        'full',
      ]),
    )
    .option('--arms <names...>', 'only these, and the baseline')
    .option('--seeds <n>', 'runs of each arm', atLeastOne)
    .option(
      '--run-dir <dir>',
      'of a new study, or of one to go on with (default studies/<name>-<time>)',
    )
    .option('--cores <n>', 'that runs may keep busy together (default: all)', atLeastOne)
    .option('--keep-checkpoints', 'of finished runs, and their prepared data')
    .option('--namespace <names...>', 'with --nats: one run at a time in each')
    .option(
      '--wait-nodes <n>',
      'with --nats: nodes that a run waits for, its own included',
      atLeastOne,
      1,
    )
    .option('--json', 'one JSON object per line and event on stdout');
  addNatsOptions(command, { text: 'spread the replicas of each run over the nodes of this server' })
    .addHelpText(
      'after',
      `
Examples:
  actorctl study                                           what there is
  actorctl study staleness --data texts/
  actorctl study staleness --run-dir studies/staleness-20261124-101500    go on with it
  actorctl study precision --seeds 3 --set steps=500`,
    )
    .action(async (study: string | undefined, flags: StudyFlags) => {
      const { listStudies, studyCommand } = await import('./study-command.ts');
      done(study === undefined ? listStudies(context) : await studyCommand(study, flags, context));
    });
}

function addChurn(program: Command, context: CommandContext, done: (code: ExitCode) => void): void {
  program
    .command('churn')
    .description('tell how much the predictions of retrained models differ on the same rows')
    .argument('<sets...>', 'runs, or Arrow or CSV files of predictions; two or more')
    .addOption(
      new Option('--served <which>', 'of a set with several models: the first, or their average')
        .choices(['first', 'average'])
        .default('first'),
    )
    .option(
      '--threshold <p>',
      'of two classes: a row flips where its probability crosses p',
      aShare,
    )
    .option('--json', 'one JSON object per line and event on stdout')
    .addHelpText(
      'after',
      `
Examples:
  actorctl churn runs/monday runs/tuesday
  actorctl churn monday.csv tuesday.csv wednesday.csv --threshold 0.3`,
    )
    .action(async (sets: readonly string[], flags: ChurnFlags) => {
      const { churnCommand } = await import('./churn-command.ts');
      done(await churnCommand(sets, flags, context));
    });
}

function aShare(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < 1) return value;
  throw new InvalidArgumentError('It is a number between 0 and 1.');
}

function atLeastOne(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError('It is a whole number of at least 1.');
}
