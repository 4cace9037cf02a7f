import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { EXIT, QUEUE_ROLES, type QueueRole } from '../config/names.js';
import { InvalidSpec } from '../config/runSpec.js';
import { settingsReference } from '../config/settings.js';
import { packageRoot } from '../infra/toolchain.js';
import { ModelConflict } from '../datasets/claim.js';
import { StoreRefused } from '../datasets/store/objectStore.js';
import { StoreUnavailable } from '../datasets/store/patience.js';
import { ModelRefused } from '../models/card.js';
import { CONTROL_KINDS, type ControlKind } from '../models/controls.js';
import { PROVIDERS } from '../models/graphBatch.js';
import type { DoctorOptions } from './commands/doctor.js';
import type { ModelsOptions, ModelsVerifyOptions } from './commands/models.js';
import type { ModelsAddOptions } from './commands/modelsAdd.js';
import type { ControlOptions } from './commands/modelsControl.js';
import type { PlanOptions } from './commands/plan.js';
import type { RunOptions } from './commands/run.js';
import type { ScheduleCreateOptions } from './commands/schedule.js';
import type { TranslateOptions } from './commands/translate.js';
import type { Context } from './context.js';
import { Refusal } from './refusal.js';

const EXIT_CODES = `
Exit codes: ${EXIT.done} done; ${EXIT.failed} failed; ${EXIT.usage} bad usage or spec; ${EXIT.quarantineLimit} quarantine limit passed; ${EXIT.cancelled} cancelled.
Answers go to stdout, one JSON object with --json; progress and messages go to stderr.`;

/**
 * Runs one command line. Never throws: what goes wrong is said on the console.
 * @param argv arguments after the name of the program
 * @returns the exit code
 */
export async function runCommandLine(argv: readonly string[], context: Context): Promise<number> {
  let exitCode: number = EXIT.done;
  const program = createProgram(context, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const { message, code, stack } = explain(error);
    context.console.say(`koine: ${stack ?? message}`);
    const status = code === EXIT.usage ? 'refused' : 'failed';
    if (argv.includes('--json'))
      context.console.answer(JSON.stringify({ run_id: null, workflow_id: null, status, message }));
    return code;
  }
}

/** What to tell about an error: its message where that was made for people, the stack too where it was not foreseen. */
function explain(error: unknown): { message: string; code: number; stack?: string | undefined } {
  if (error instanceof Refusal) return { message: error.message, code: error.exitCode };
  if (error instanceof InvalidSpec || error instanceof ModelRefused)
    return { message: error.message, code: EXIT.usage };
  if (
    error instanceof StoreRefused ||
    error instanceof StoreUnavailable ||
    error instanceof ModelConflict ||
    error instanceof ApplicationFailure
  )
    return { message: error.message, code: EXIT.failed };
  if (error instanceof Error) return { message: error.message, code: EXIT.failed, stack: error.stack };
  return { message: String(error), code: EXIT.failed };
}

/** Every command in one place. Each loads its code when it is called, so that `--help` is quick. */
function createProgram(context: Context, done: (exitCode: number) => void): Command {
  const program = new Command('koine')
    .description('One shared latent language for machine-learning interatomic potentials.')
    .version(version())
    .exitOverride()
    .configureOutput({ writeOut: (text) => context.console.answer(text.trimEnd()) })
    .configureOutput({ writeErr: (text) => context.console.say(text.trimEnd()) })
    .showHelpAfterError('(koine --help shows how)')
    .addHelpText('after', EXIT_CODES)
    .addHelpText('after', () => `\nEnvironment:\n${describeEnvironment()}`)
    .addHelpText(
      'after',
      `
Examples:
  koine run examples/dev-set.yaml            align four potentials on sixty crystals, everything embedded
  koine run align.yaml --json > run.json     the same for a program: one JSON object on stdout
  koine plan align.yaml                      what a run would compute and what it would reuse
  koine status                               recent runs; koine status NAME: one of them`,
    );

  const json = () => new Option('--json', 'print one JSON object on stdout');
  const store = () =>
    new Option(
      '--store <location>',
      'folder or s3:// prefix that holds <id>/model.onnx and <id>/card.json; repeatable',
    ).argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);

  program
    .command('demo')
    .description('the whole pipeline on the crystals and reference potentials that come with koine')
    .addOption(json())
    .action(async (options: { json?: boolean }) =>
      done(await (await import('./commands/demo.js')).demo(context, options)),
    );

  // --- runs -------------------------------------------------------------------------------------
  program
    .command('run <spec>')
    .description('run a spec to its end, or join the run that does the same; Ctrl-C cancels it')
    .option('--detach', 'return once the run is started (needs a cluster)')
    .addOption(json())
    .option('--replace', "replace a model's published embeddings when it was published with another network")
    .option('--window <n>', 'items of a stage in flight', wholeNumber)
    .option('--name <name>', "instead of the spec's name")
    .addHelpText('after', EXIT_CODES)
    .action(async (spec: string, options: RunOptions) =>
      done(await (await import('./commands/run.js')).run(context, spec, options)),
    );
  program
    .command('plan <spec>')
    .description('what a run would compute and what is there already, with the reason; changes nothing')
    .addOption(json())
    .option('--replace', 'as koine run --replace would')
    .option('--name <name>', "instead of the spec's name")
    .action(async (spec: string, options: PlanOptions) =>
      done(await (await import('./commands/plan.js')).plan(context, spec, options)),
    );
  const RUN = '<run>';
  const WHICH = 'RUN is the name of a run (its newest), a run id, or a workflow id.';
  program
    .command('status [run]')
    .description('recent runs, or the stages of one')
    .addOption(json())
    .addHelpText('after', `\n${WHICH}`)
    .action(async (run: string | undefined, options: { json?: boolean }) =>
      done(await (await import('./commands/status.js')).status(context, run, options)),
    );
  program
    .command(`watch ${RUN}`)
    .description('follow a run to its end; Ctrl-C leaves it running')
    .addOption(json())
    .addHelpText('after', `\n${WHICH}`)
    .action(async (run: string, options: { json?: boolean }) =>
      done(await (await import('./commands/control.js')).watch(context, run, options)),
    );
  program
    .command(`pause ${RUN}`)
    .description('start nothing new; what is in flight ends')
    .action(async (run: string) => done(await (await import('./commands/control.js')).pause(context, run)));
  program
    .command(`resume ${RUN}`)
    .description('go on after a pause')
    .action(async (run: string) => done(await (await import('./commands/control.js')).resume(context, run)));
  program
    .command(`cancel ${RUN}`)
    .description('stop a run; what it has computed stays and is reused')
    .action(async (run: string) => done(await (await import('./commands/control.js')).cancel(context, run)));
  program
    .command(`window ${RUN}`)
    .argument('<n>', 'items of a stage in flight, from now on', wholeNumber)
    .description('change how much of a run is in flight')
    .action(async (run: string, n: number) =>
      done(await (await import('./commands/control.js')).window(context, run, n)),
    );

  // --- models and datasets ----------------------------------------------------------------------
  const models = program.command('models').description('potentials: those of the stores, those that can be added');
  models
    .command('list')
    .description('the models of the stores, and the catalog of potentials that koine can add')
    .addOption(store())
    .addOption(json())
    .action(async (options: ModelsOptions) =>
      done(await (await import('./commands/modelsList.js')).list(context, options)),
    );
  models
    .command('add <what>')
    .description('export a potential with its official package into your model store, and check it')
    .option('--checkpoint <file>', 'weights in the official format: your own (WHAT is a family) or downloaded by hand')
    .option('--id <id>', 'name of the model (default: the id of the catalog, or family and file name)')
    .option(
      '--layer <name>',
      "embedding layer in the family's words, e.g. first or all (MACE), a block's number (SevenNet, Orb)",
    )
    .option('--set <key=value>', 'setting of the exporter, e.g. modality=PBE; repeatable', settingPair)
    .option('--licence <text>', 'licence of a checkpoint of your own')
    .option('--lineage <id>', 'model that a checkpoint of your own was fine-tuned from')
    .option('--accept-licence', 'agree to the licence of a potential that asks for it')
    .option('--replace', 'make a model anew that is there already')
    .addOption(json())
    .addHelpText(
      'after',
      `
WHAT is an id of \`koine models list\`, or a family with --checkpoint FILE.
The first model of a family makes its Python environment in the cache folder (gigabytes, minutes, once).

  koine models add chgnet-0.3.0
  koine models add mace-mp-0-medium --layer all --id mace-mp-0-medium-all
  koine models add sevennet --checkpoint fine-tuned.pth --lineage sevennet-0-11jul2024`,
    )
    .action(async (what: string, options: ModelsAddOptions) =>
      done(await (await import('./commands/modelsAdd.js')).add(context, what, options)),
    );
  models
    .command('verify <id>')
    .description(
      'check that a model is what its card says: digest, parity with the official code, symmetries, determinism',
    )
    .addOption(store())
    .option(
      '--structures <path>',
      'file, folder or glob to check on (default: reference.extxyz beside the network, else dev.extxyz of the store)',
    )
    .option(
      '--reference <file>',
      "official values (default: reference.npz or reference-<structures' stem>.npz beside the network)",
    )
    .addOption(new Option('--provider <name>', 'ONNX Runtime execution provider').choices(PROVIDERS).default('cpu'))
    .addOption(json())
    .action(async (id: string, options: ModelsVerifyOptions) =>
      done(await (await import('./commands/models.js')).verify(context, id, options)),
    );
  const seed = () => new Option('--seed <n>', 'seed of the random numbers').argParser(seedNumber).default(0);
  models
    .command('shuffle <id>')
    .description('add a copy of a model with its weights in random order: a control with the same architecture')
    .addOption(seed())
    .option('--id <id>', 'name of the copy (default: ID-shuffled-SEED)')
    .option('--replace', 'make a model anew that is there already')
    .addOption(store())
    .addOption(json())
    .action(async (id: string, options: ControlOptions) =>
      done(await (await import('./commands/modelsControl.js')).shuffle(context, id, options)),
    );
  models
    .command('control')
    .addArgument(new Argument('<kind>', 'an axis, or a random vector, for each element').choices(CONTROL_KINDS))
    .description('add a model that knows nothing but elements: a control for agreement by composition')
    .addOption(seed())
    .addOption(new Option('--dim <n>', 'width of random-element').argParser(width).default(64))
    .option('--id <id>', 'name of the control (default: control-KIND, with the seed where it has one)')
    .option('--replace', 'make a model anew that is there already')
    .addOption(json())
    .action(async (kind: ControlKind, options: ControlOptions & { dim: number }) =>
      done(await (await import('./commands/modelsControl.js')).control(context, kind, options)),
    );

  program
    .command('verify <dataset>')
    .description('check a dataset from its catalog down: digests, schemas, row counts, references between tables')
    .addOption(json())
    .action(async (dataset: string, options: { json?: boolean }) =>
      done(await (await import('./commands/verify.js')).verify(context, dataset, options)),
    );

  program
    .command('translate <dataset>')
    .description("carry a model's embeddings into another's space, with the expected error on held-out structures")
    .requiredOption('--from <model>', 'model whose embeddings are carried over')
    .requiredOption('--to <model>', 'model in whose space they should lie')
    .requiredOption('--into <folder>', 'folder or s3:// prefix that receives Parquet parts and translation.json')
    .option('--run <name>', 'run of the dataset, where it has several')
    .addOption(json())
    .action(async (dataset: string, options: TranslateOptions) =>
      done(await (await import('./commands/translate.js')).translate(context, dataset, options)),
    );

  const basis = program.command('basis').description('the anchors of a dataset');
  const WHICH_BASIS = 'BASIS is the name of a folder in bases/, or of a run, which stands for the basis it has pinned.';
  basis
    .command('show <dataset> <basis>')
    .description('how a basis was chosen, its anchors, and how well they span in each model')
    .addOption(json())
    .addHelpText('after', `\n${WHICH_BASIS}`)
    .action(async (dataset: string, which: string, options: { json?: boolean }) =>
      done(await (await import('./commands/basis.js')).show(context, dataset, which, options)),
    );
  basis
    .command('compare <dataset> <a> <b>')
    .description('what two bases have in common')
    .addOption(json())
    .addHelpText('after', `\n${WHICH_BASIS}`)
    .action(async (dataset: string, a: string, b: string, options: { json?: boolean }) =>
      done(await (await import('./commands/basis.js')).compare(context, dataset, a, b, options)),
    );
  basis
    .command('name <file> <data>')
    .description('turn anchors published as atom numbers of a data set into the lines of a spec')
    .addHelpText(
      'after',
      '\n  koine basis name examples/mp20-train-anchors.json mp_20/train.csv   the anchors of Li and Walsh, arXiv 2512.05349',
    )
    .action(async (file: string, data: string) =>
      done(await (await import('./commands/basis.js')).name(context, file, data)),
    );

  // --- operation --------------------------------------------------------------------------------
  addScheduleCommands(program.command('schedule').description('runs that repeat (needs a cluster)'), context, done);
  program
    .command('worker')
    .description('host workers of a cluster until SIGTERM or Ctrl-C, which stop them gracefully')
    .option('--queue <roles>', `comma-separated: ${QUEUE_ROLES.join(', ')} (default: all)`, queueRoles)
    .action(async (options: { queue?: QueueRole[] }) =>
      done(await (await import('./commands/worker.js')).worker(context, options)),
    );
  program
    .command('doctor')
    .description('what is there, what is missing, and the mend of each')
    .option('--output <location>', 'try this folder or s3:// prefix as an output')
    .addOption(store())
    .addOption(json())
    .action(async (options: DoctorOptions) =>
      done(await (await import('./commands/doctor.js')).doctor(context, options)),
    );
  program
    .command('schema')
    .description('the JSON Schema of the run spec, for editors')
    .action(async () => done((await import('./commands/schema.js')).schema(context)));
  return program;
}

function addScheduleCommands(schedule: Command, context: Context, done: (exitCode: number) => void): void {
  const load = () => import('./commands/schedule.js');
  schedule
    .command('create <name> <spec>')
    .description('run a spec again and again; an existing schedule of the name is changed')
    .option('--cron <expression>', 'e.g. "0 3 * * *", in UTC; repeatable', (value, before: string[] = []) => [
      ...before,
      value,
    ])
    .option('--every <duration>', 'e.g. 6h, 30m, 1 day')
    .option('--paused', 'set it up without starting it')
    .option('--name <name>', "name of the runs, instead of the spec's")
    .addHelpText(
      'after',
      `
A run still going when the next is due makes that one be skipped; a failed run pauses the schedule; after an outage
what was due within the last hour runs once.

  koine schedule create nightly align.yaml --cron "0 3 * * *"`,
    )
    .action(async (name: string, spec: string, options: ScheduleCreateOptions) =>
      done(await (await load()).create(context, name, spec, options)),
    );
  schedule
    .command('list')
    .description('the schedules and when they run next')
    .option('--json', 'print one JSON array on stdout')
    .action(async (options: { json?: boolean }) => done(await (await load()).list(context, options)));
  schedule
    .command('pause <name>')
    .description('start no more runs')
    .action(async (name: string) => done(await (await load()).pause(context, name)));
  schedule
    .command('resume <name>')
    .description('go on after a pause')
    .action(async (name: string) => done(await (await load()).resume(context, name)));
  schedule
    .command('trigger <name>')
    .description('run now, unless a run is going')
    .action(async (name: string) => done(await (await load()).trigger(context, name)));
  schedule
    .command('backfill <name>')
    .description('run what was due between two moments, one after the other')
    .requiredOption('--from <time>', 'ISO 8601, e.g. 2026-11-01T00:00:00Z', moment)
    .requiredOption('--to <time>', 'ISO 8601', moment)
    .action(async (name: string, range: { from: Date; to: Date }) =>
      done(await (await load()).backfill(context, name, range)),
    );
  schedule
    .command('delete <name>')
    .description('remove the schedule; its runs and their data stay')
    .action(async (name: string) => done(await (await load()).remove(context, name)));
}

function version(): string {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function describeEnvironment(): string {
  const settings = [
    ...settingsReference(),
    {
      name: 'TEMPORAL_*',
      meaning: 'The rest of a connection: namespace, API key, TLS, profile; as every Temporal client reads it.',
    },
    {
      name: 'AWS_*',
      meaning: 'S3: AWS_ENDPOINT_URL, AWS_REGION and the usual credentials; path style where an endpoint is set.',
    },
  ];
  const width = Math.max(...settings.map(({ name }) => name.length));
  return settings.map(({ name, meaning }) => `  ${name.padEnd(width)}  ${meaning}`).join('\n');
}

function wholeNumber(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 500)
    throw new InvalidArgumentError('It must be a whole number from 1 to 500.');
  return number;
}

function seedNumber(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > 0xffff_ffff)
    throw new InvalidArgumentError('It must be a whole number from 0 to 4294967295.');
  return number;
}

function width(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1 || number > 4096)
    throw new InvalidArgumentError('It must be a whole number from 1 to 4096.');
  return number;
}

function settingPair(value: string, before: Record<string, string> = {}): Record<string, string> {
  const [key, ...rest] = value.split('=');
  if (!key || rest.length === 0) throw new InvalidArgumentError('It must be KEY=VALUE.');
  return { ...before, [key]: rest.join('=') };
}

function queueRoles(value: string): QueueRole[] {
  return value.split(',').map((text) => {
    const role = QUEUE_ROLES.find((known) => known === text.trim());
    if (!role) throw new InvalidArgumentError(`'${text}' is none of ${QUEUE_ROLES.join(', ')}.`);
    return role;
  });
}

function moment(value: string): Date {
  const time = new Date(value);
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError('It must be a time like 2026-11-01T00:00:00Z.');
  return time;
}
