/** `aitbc miners`: who does work, what it costs, and who has room. */
import type { Command } from 'commander';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { positiveNumber } from './options.ts';

interface MinersOptions {
  readonly kind?: string;
  readonly model?: string;
  readonly limit: number;
}

export function register(program: Command): void {
  program
    .command('miners')
    .description('who does work for others now: kinds, models, prices, free places')
    .option('--kind <kind>', 'of those that do this, e.g. llm.chat')
    .option('--model <name>', 'of those that have this model')
    .option('--limit <number>', 'at most so many', positiveNumber, 100)
    .action(async (options: MinersOptions, command: Command) => {
      await list(createContext(command), options);
    });
}

async function list(context: Context, { kind, model, limit }: MinersOptions): Promise<void> {
  const [{ formatAit }, { printable, table }] = await Promise.all([import('./amount.ts'), import('./output.ts')]);
  const page = { ...(kind !== undefined && { kind }), ...(model !== undefined && { model }) };
  const miners = (await context.client().miners(page)).items.slice(0, limit);
  const rows = miners.flatMap(({ address, name, free, slots, models }) =>
    models.map((offered) => [
      address,
      printable(name),
      printable(offered.model),
      offered.kind,
      `${free} of ${slots}`,
      formatAit(offered.fixed_uait),
      formatAit(offered.output_uait_per_kib),
    ]),
  );
  const head = ['Miner', 'Name', 'Model', 'Kind', 'Free', 'A job', 'A KiB of output'];
  const none = 'No miner is known to this node. npm run testnet -- --miners 1 starts one, aitbc miner init makes one.';
  context.out.data(miners, rows.length === 0 ? none : table(head, rows));
}
