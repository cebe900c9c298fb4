/** `aitbc job`: jobs of this home, and with --node those that a node pays for. */
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { positiveNumber } from './options.ts';
import type { KeyOptions } from './signer.ts';
import { addPayOptions } from './submit.ts';

type Reads = Awaited<ReturnType<typeof loadReads>>;
type NodeOption = { readonly node?: boolean };
type ReadVerb = (reads: Reads, context: Context, id: string, options: NodeOption) => Promise<void>;

const READS: readonly (readonly [name: string, description: string, run: ReadVerb])[] = [
  ['show', 'how a job stands', (reads, context, id, { node }) => reads.showJob(context, id, node === true)],
  [
    'why',
    'why it is where it is: what miners said',
    (reads, context, id, { node }) => reads.whyJob(context, id, node === true),
  ],
  [
    'receipt',
    'its receipt, as a file has it',
    (reads, context, id, { node }) => reads.receiptOfJob(context, id, node === true),
  ],
];

export function register(program: Command): void {
  const job = program
    .command('job')
    .description('jobs: run, list, show, watch, logs, result, receipt, verify, cancel, why');
  addPayOptions(
    job.command('run').description('do the job of a YAML file').argument('<spec>', 'file, or - for stdin'),
  ).action(async (path: string, options: KeyOptions, command: Command) => {
    const [{ requestOfSpec }, { runJob }] = await Promise.all([
      import('./jobs/job-input.ts'),
      import('./jobs/run-job.ts'),
    ]);
    await runJob(createContext(command), await requestOfSpec(path), options);
  });
  job
    .command('list')
    .description('jobs, newest first')
    .option('--limit <number>', 'at most so many', positiveNumber, 20)
    .option('--node', 'those that the node pays for')
    .action(async ({ limit, node }: NodeOption & { readonly limit: number }, command: Command) => {
      await (await loadReads()).listJobs(createContext(command), limit, node === true);
    });
  for (const [name, description, run] of READS) {
    job
      .command(name)
      .description(description)
      .argument('<id>', 'of the job, or its first eight digits')
      .option('--node', 'a job that the node pays for')
      .action(async (id: string, options: NodeOption, command: Command) => {
        await run(await loadReads(), createContext(command), id, options);
      });
  }
  job
    .command('result')
    .description('its answer, and nothing else')
    .argument('<id>', 'of the job, or its first eight digits')
    .option('--node', 'a job that the node pays for')
    .option('--out <file>', 'a new file for it, as it is')
    .action(async (id: string, { node, out }: NodeOption & { readonly out?: string }, command: Command) => {
      await (await loadReads()).resultOfJob(createContext(command), id, { isNode: node === true, out });
    });
  job
    .command('logs')
    .description('what happened to it, and when')
    .argument('<id>', 'of the job, or its first eight digits')
    .option('--node', 'a job that the node pays for, until it has ended')
    .action(async (id: string, { node }: NodeOption, command: Command) => {
      await (await loadReads()).logsOfJob(createContext(command), id, node === true);
    });
  job
    .command('verify')
    .description('whether its receipt holds, was paid for, and its result comes again; exit code 11 when not')
    .argument('<id|file>', 'of a job of this home, or its first eight digits; or a file with the work of a job')
    .option('--no-replay', 'does not do the work again')
    .action(async (which: string, { replay }: { readonly replay: boolean }, command: Command) => {
      const { verifyJob, verifyWorkFile } = await import('./jobs/verify-work.ts');
      const verify = /^[0-9a-f]{8,64}$/.test(which) ? verifyJob : verifyWorkFile;
      await verify(createContext(command), which, replay);
    });
  registerFollowing(job);
}

function registerFollowing(job: Command): void {
  addPayOptions(
    job
      .command('watch')
      .description('go on with a job whose run was ended')
      .argument('<id>', 'of the job, or its first eight digits'),
  ).action(async (id: string, options: KeyOptions, command: Command) => {
    await goOn(createContext(command), id, options, false);
  });
  addPayOptions(
    job
      .command('cancel')
      .description('stop it, and say what was paid')
      .argument('<id>', 'of the job, or its first eight digits')
      .option('--node', 'a job that the node pays for'),
  ).action(async (id: string, options: KeyOptions & NodeOption, command: Command) => {
    const context = createContext(command);
    if (options.node === true) await (await loadReads()).cancelAtNode(context, id);
    else await goOn(context, id, options, true);
  });
}

async function goOn(context: Context, id: string, options: KeyOptions, cancels: boolean): Promise<void> {
  const [{ findRun }, { resumeJob }] = await Promise.all([import('./jobs/runs.ts'), import('./jobs/run-job.ts')]);
  await resumeJob(context, await findRun(context.home, id), options, cancels);
}

/** Loaded when it is needed, which help does not. */
function loadReads() {
  return import('./jobs/read-jobs.ts');
}
