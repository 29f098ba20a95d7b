import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { UserInputError } from '../errors.ts';
import type { CompletionShell } from './completion.ts';
import { addData } from './data/data-program.ts';
import type { DoctorFlags } from './doctor/doctor-command.ts';
import { type ExitCode, exitCodeMeanings } from './exit-codes.ts';
import { addJobCommands } from './jobs/job-program.ts';
import { addObservationCommands } from './observation/observation-program.ts';
import type { CommandEnvironment, Output } from './output/output.ts';
import { nodeVersionAdvice, packageVersion } from './package-info.ts';
import type { ExportFlags } from './run/export-command.ts';
import { addMetricsOption } from './run/metrics-option.ts';
import type { PlanFlags, PlanSurroundings } from './run/plan-command.ts';
import type { ResumeFlags } from './run/resume-command.ts';
import type { RunFlags } from './run/run-command.ts';
import type { DrainFlags } from './server/drain-command.ts';
import { addNatsOptions } from './server/nats-address.ts';
import type { NodeFlags } from './server/node-command.ts';
import type { RemoveServerFlags } from './server/server-command.ts';
import type { UpFlags } from './server/up-command.ts';
import { addStudyCommands } from './study/study-program.ts';

export interface CommandContext {
  readonly output: Output;
  readonly environment: CommandEnvironment;
}

/** Commands load what they need when they are called, so that `--help` and mistakes answer at once. */
export function createProgram(context: CommandContext, done: (code: ExitCode) => void): Command {
  const program = new Command('actorctl')
    .description('Train neural networks that teach one another, as actors on one machine or many.')
    .version(packageVersion)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .showHelpAfterError(false)
    .hook('preAction', (_, command) => {
      const advice = nodeVersionAdvice();
      // doctor says so itself, beside all else.
      if (advice !== undefined && command.name() !== 'doctor') throw new UserInputError(advice);
    });
  addRun(program, context, done);
  addPlan(program, context, done);
  addResume(program, context, done);
  addNode(program, context, done);
  addJobCommands(program, context, done);
  addDrain(program, context, done);
  addUp(program, context, done);
  addServer(program, context, done);
  addObservationCommands(program, context, done);
  addStudyCommands(program, context, done);
  addExport(program, context, done);
  addData(program, context, done);
  addDoctor(program, context, done);
  addCompletion(program, context);
  program.addHelpText(
    'after',
    `\nExit codes:\n${exitCodeMeanings.map(([code, text]) => `  ${String(code).padStart(3)}  ${text}`).join('\n')}`,
  );
  return program;
}

function addRun(program: Command, context: CommandContext, done: (code: ExitCode) => void): void {
  const command = program
    .command('run')
    .description('run an example by its name, or the job in a file of yours')
    .argument('[job]', 'NAME of an example, or FILE.ts whose default export is a job')
    .helpOption(false)
    .option('-h, --help', 'show this; after a job also its options')
    .option('--run-dir <dir>', 'a new folder for the run (default runs/<job>-<time>)');
  addJobOptions(command);
  addBusOptions(command)
    .option('--namespace <name>', 'only nodes of this name take part')
    .addHelpText('after', runExamples)
    .action(async (job: string | undefined, flags: RunFlags & { readonly help?: boolean }) => {
      if (flags.help) return await showRunHelp(command, job, context);
      const { runCommand } = await import('./run/run-command.ts');
      done(await runCommand(job, flags, context));
    });
}

/** What says how a job is to be run; later ones win over earlier. */
function addJobOptions(command: Command): Command {
  return command
    .option('--plan <file>', 'a document of options: .json, .yaml or a module; it may name the job')
    .option('--data <paths...>', 'files or folders; short for --set data=…')
    .option('--steps <n>', 'short for --set steps=…')
    .option('--replicas <n>', 'short for --set replicas=…')
    .option('--seed <n>', 'short for --set seed=…')
    .option('--set <key=value...>', 'an option of the job\'s; lists as a,b or ["a", "b"]');
}

function addPlan(program: Command, context: CommandContext, done: (code: ExitCode) => void): void {
  const plan = program.command('plan').description('check or explain what a job would do');
  const add = (name: string, description: string): Command =>
    addJobOptions(
      plan
        .command(name)
        .description(description)
        .argument('[job]', 'NAME of an example, or FILE.ts; unless the plan names it'),
    ).option('--json', 'one JSON object on stdout');
  add('check', 'say whether a job can run with these options')
    .addHelpText('after', '\nExamples:\n  actorctl plan check --plan plan.yaml')
    .action(async (job: string | undefined, flags: PlanFlags) => {
      const { planCheckCommand } = await import('./run/plan-command.ts');
      done(await planCheckCommand(job, flags, context));
    });
  add('show', 'say what it would do: models, memory, work, where actors go, bytes on each link')
    .option('--nodes <n>', 'on so many nodes', atLeastOne, 1)
    .option('--gflops <n>', 'if each replica computed so many GFLOP/s', atLeastOne, 60)
    .addHelpText(
      'after',
      '\nExamples:\n  actorctl plan show lm-codistill --replicas 3 --set topology=ring --nodes 3',
    )
    .action(async (job: string | undefined, flags: PlanFlags & PlanSurroundings) => {
      const { planShowCommand } = await import('./run/plan-command.ts');
      done(await planShowCommand(job, flags, context));
    });
}

function addResume(
  program: Command,
  context: CommandContext,
  done: (code: ExitCode) => void,
): void {
  const command = program
    .command('resume')
    .description('go on with a run that was interrupted or failed')
    .argument('<run>', 'its folder, or its name below runs/');
  addBusOptions(command)
    .addHelpText('after', '\nExamples:\n  actorctl resume runs/lm-codistill-20261124-101500')
    .action(async (run: string, flags: ResumeFlags) => {
      const { resumeCommand } = await import('./run/resume-command.ts');
      done(await resumeCommand(run, flags, context));
    });
}

function addExport(
  program: Command,
  context: CommandContext,
  done: (code: ExitCode) => void,
): void {
  program
    .command('export')
    .description("write a replica's weights as of its last checkpoint for other programs")
    .argument('<run>', 'its folder, or its name below runs/')
    .requiredOption('-o, --output <file>', 'what to write')
    .option('--replica <name>', 'which model', 'replica-1')
    .addOption(
      new Option('--format <format>', 'onnx: the model for inference; safetensors: the weights')
        .choices(['onnx', 'safetensors'])
        .default('onnx'),
    )
    .option('--batch <n>', 'of onnx: examples, or lanes of text, in one call', atLeastOne, 1)
    .option('--time <n>', 'of onnx, of an lstm: word pieces of a lane in one call (1)', atLeastOne)
    .option('--json', 'one JSON object per line and event on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  actorctl export runs/lm-codistill-20261124-101500 -o model.onnx' +
        '\n  actorctl export lm-codistill-20261124-101500 --format safetensors -o weights.safetensors',
    )
    .action(async (run: string, flags: ExportFlags) => {
      const { exportCommand } = await import('./run/export-command.ts');
      done(await exportCommand(run, flags, context));
    });
}

function addNode(program: Command, context: CommandContext, done: (code: ExitCode) => void): void {
  const command = program
    .command('node')
    .description('join a nats-server and take actors of the jobs there');
  addNatsOptions(command, {
    text: "the server, several of a cluster with commas; or actorctl up's connection file",
    required: true,
  });
  addNodeOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  actorctl node --nats nats://10.0.0.5:4222 --name attic --resources cpu=4 gpu=1 --labels zone=attic
  actorctl node --nats nats://localhost:4222 --module ./my-actors.ts`,
    )
    .action(async (flags: NodeFlags) => {
      const { nodeCommand } = await import('./server/node-command.ts');
      done(await nodeCommand(flags, context));
    });
}

/** What a node offers, and to whom. */
function addNodeOptions(command: Command): Command {
  return addMetricsOption(command)
    .option('--name <name>', 'how this node is called')
    .option('--namespace <name>', 'only jobs of this name')
    .option('--module <files...>', 'modules of actors, besides those of codistill')
    .option('--resources <name=amount...>', 'what actors may reserve, as cpu=4 gpu=1 memory=8GB')
    .option('--labels <name=value...>', 'what placement rules can ask for, as zone=attic')
    .option('--allow-environment <names...>', 'variables that others may set, besides ACTOR_…')
    .option('--json', 'one JSON object per line and event on stdout');
}

function addDrain(program: Command, context: CommandContext, done: (code: ExitCode) => void): void {
  const command = program
    .command('drain')
    .description('let a node finish, move its actors to others and leave')
    .argument('<node>', 'its name or id; actorctl nodes lists them')
    .option('--namespace <name>', 'where the node is')
    .option('--timeout <seconds>', 'what has not moved by then is lost', atLeastOne, 60)
    .option('--json', 'one JSON object per line and event on stdout');
  addNatsOptions(command, { text: "the node's server", required: true })
    .addHelpText('after', '\nExamples:\n  actorctl drain attic --nats nats://10.0.0.5:4222')
    .action(async (node: string, flags: DrainFlags) => {
      const { drainCommand } = await import('./server/drain-command.ts');
      done(await drainCommand(node, flags, context));
    });
}

function addUp(program: Command, context: CommandContext, done: (code: ExitCode) => void): void {
  const command = program
    .command('up')
    .description('start a nats-server and a node; with --join, as part of a cluster')
    .option('--join <hosts>', 'the machine where actorctl up runs; several with commas')
    .option('--key-file <file>', 'its cluster.key; - reads it from standard input')
    .option('--listen <address>', 'where others reach this machine (default: nowhere)')
    .option('--advertise <host>', 'what others are told, where that is another address')
    .option('--port <n>', 'of clients; servers use n + 2000 and n + 2001 (default 4222)', aPort)
    .option('--dir <dir>', "the server's data and keys (default ~/.local/share/codistill/server)")
    .option('--tls', 'encrypt on loopback too; elsewhere that is the default')
    .option('--no-tls', 'never encrypt')
    .option(
      '--insecure',
      'with --no-tls: allow others in, on a network that is encrypted by itself',
    );
  addNodeOptions(command)
    .addHelpText(
      'after',
      `
Kept in --dir for the next time: --join, --listen, --advertise, --port, --tls, and of the node --name,
--namespace, --module, --resources, --labels, --allow-environment, --metrics-port and --metrics-token-file
(its path). An option that is given again replaces what was kept of it. Without node.json there, the node
starts anew.

Examples:
  actorctl up                                    for this machine alone
  actorctl up --listen 10.0.0.5                  others may join; it prints how
  actorctl up --join 10.0.0.5 --key-file key     on another machine
  actorctl up                                    again, as it was`,
    )
    .action(async (flags: UpFlags) => {
      const { upCommand } = await import('./server/up-command.ts');
      done(await upCommand(flags, context));
    });
}

function addServer(
  program: Command,
  context: CommandContext,
  done: (code: ExitCode) => void,
): void {
  program
    .command('server')
    .description('remove a server that is lost for good from the cluster')
    .addArgument(new Argument('<action>', 'what to do').choices(['remove']))
    .argument('<name>', 'of the server; actorctl doctor names those that are away')
    .option('--dir <dir>', "this machine's server (default ~/.local/share/codistill/server)")
    .option('--json', 'one JSON object per line and event on stdout')
    .addHelpText('after', '\nExamples:\n  actorctl server remove attic-3f2a1b')
    .action(async (_action: string, name: string, flags: RemoveServerFlags) => {
      const { removeServerCommand } = await import('./server/server-command.ts');
      done(await removeServerCommand(name, flags, context));
    });
}

function addDoctor(
  program: Command,
  context: CommandContext,
  done: (code: ExitCode) => void,
): void {
  const command = program
    .command('doctor')
    .description('say what works on this machine, what does not and what to do');
  addNatsOptions(command, { text: 'also try this server, and look at its settings' })
    .option('--nats-monitor <url>', 'its monitor (default http://HOST:8222)')
    .option('--json', 'one JSON object per line and check on stdout')
    .addHelpText('after', '\nExamples:\n  actorctl doctor --nats nats://localhost:4222')
    .action(async (flags: DoctorFlags) => {
      const { doctorCommand } = await import('./doctor/doctor-command.ts');
      done(await doctorCommand(flags, context));
    });
}

function addCompletion(program: Command, { environment }: CommandContext): void {
  program
    .command('completion')
    .description('print a script that completes commands and options in your shell')
    .addArgument(new Argument('<shell>', 'whose script').choices(['bash', 'zsh', 'fish']))
    .addHelpText('after', '\nExamples:\n  source <(actorctl completion bash)')
    .action(async (shell: CompletionShell) => {
      const { createCompletion } = await import('./completion.ts');
      const { listExamples } = await import('./package-info.ts');
      environment.stdout.write(createCompletion(program, shell, { job: listExamples() }));
    });
}

const runExamples = `
Examples:
  actorctl run lm-codistill
  actorctl run lm-codistill --data texts/ --steps 2000 --set model.hiddenSize=512
  actorctl run --plan plan.yaml --seed 2
  actorctl run lm-codistill --help
  actorctl run ./my-job.ts --nats nats://localhost:4222 --wait-nodes 2`;

function addBusOptions(command: Command): Command {
  const text = 'run over this nats-server, with all nodes that joined there';
  return addMetricsOption(addNatsOptions(command, { text }))
    .option('--wait-nodes <n>', 'start when n nodes are there, this one included', atLeastOne, 1)
    .option('--timeline <file>', 'write what ran when, for ui.perfetto.dev')
    .option('--bus-timeout <seconds>', 'give up when the bus is away for longer', atLeastOne, 60)
    .option('--json', 'one JSON object per line and event on stdout');
}

async function showRunHelp(
  command: Command,
  job: string | undefined,
  { environment }: CommandContext,
): Promise<void> {
  command.outputHelp();
  if (job === undefined) return;
  const { loadJob } = await import('./jobs/job-module.ts');
  const { formatJobOptions } = await import('./jobs/job-options.ts');
  const { name, description, options } = (await loadJob(job, environment.cwd)).job;
  environment.stdout.write(
    `\n${name}: ${description}\nOptions for --set:\n${formatJobOptions(options)}\n`,
  );
}

function aPort(text: string): number {
  const value = Number(text);
  // The servers' own ports lie above it.
  if (Number.isInteger(value) && value >= 1 && value <= 63_000) return value;
  throw new InvalidArgumentError('It is a whole number from 1 to 63000.');
}

function atLeastOne(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError('It is a whole number of at least 1.');
}
