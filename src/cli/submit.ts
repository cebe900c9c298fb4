/** `aitbc submit`: a prompt goes in, its answer comes out. What it does is loaded when it is needed, which help does not. */
import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { createContext } from './context.ts';
import type { JobOptions } from './jobs/job-input.ts';
import { duration, positiveNumber } from './options.ts';
import type { KeyOptions } from './signer.ts';

export function register(program: Command): void {
  addPayOptions(
    program
      .command('submit')
      .description('have a prompt answered: paid from your own wallet, the answer alone on stdout')
      .argument('<prompt>', 'text, or - for stdin')
      .option('--model <name>', 'which model; any that can when absent')
      .option('--kind <kind>', 'what is done', 'llm.chat')
      .option('--system <text>', 'what the model is told before')
      .option('--max-tokens <number>', 'longest answer', positiveNumber)
      .option('--temperature <number>', 'from 0, the likeliest answer, to 2', temperature)
      .option('--max-price <amount>', 'most that it may cost', '1ait')
      .option('--queue <duration>', 'longest wait for a miner (default 2m)', duration),
  ).action(async (prompt: string, options: JobOptions & KeyOptions, command: Command) => {
    const [{ requestOfPrompt }, { runJob }] = await Promise.all([
      import('./jobs/job-input.ts'),
      import('./jobs/run-job.ts'),
    ]);
    await runJob(createContext(command), await requestOfPrompt(prompt, options), options);
  });
}

/** Options of every command that pays for work. */
export function addPayOptions(command: Command): Command {
  return command
    .option('--from <wallet>', 'wallet of this home that pays')
    .option('--key-file <file>', 'wallet file, or on development chains a bare key file');
}

function temperature(text: string): number {
  const value = /^\d(\.\d{1,3})?$/.test(text) ? Number(text) : NaN;
  if (value <= 2) return value;
  throw new InvalidArgumentError('a number from 0 to 2 is expected, e.g. 0.7.');
}
