/** `aitbc chain list|start|stop`: the chains of a running node. Starting and stopping is for its operator. */
import type { Command } from 'commander';
import { NodeError } from '../errors.ts';
import type { ChainSummaryResponse } from '../sdk/types.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { table } from './output.ts';
import { chainWords } from './status.ts';

export function registerOperatorVerbs(chain: Command): void {
  chain
    .command('list')
    .description('the chains of the node, with state and head')
    .action(async (_options: object, command: Command) => {
      const context = createContext(command);
      const document = await context.client().chains();
      context.out.data(document, describe(document.chains));
    });
  for (const verb of ['start', 'stop'] as const) {
    chain
      .command(verb)
      .description(`${verb} a chain of your own node, which goes on with the others`)
      .argument('<chain>', 'its id')
      .action(async (chainId: string, _options: object, command: Command) => {
        await operate(createContext(command), verb, chainId);
      });
  }
}

async function operate(context: Context, verb: 'start' | 'stop', chainId: string): Promise<void> {
  if (context.options.rpc !== undefined) {
    throw new NodeError('USAGE', 'chains are started and stopped on the machine of the node, not over --rpc', {
      hint: 'leave --rpc out, and give --home of the node',
    });
  }
  const client = context.operator();
  const summary = await (verb === 'start' ? client.startChain(chainId) : client.stopChain(chainId));
  context.out.data(summary, `${summary.chain_id}: ${chainWords(summary)}`);
}

function describe(chains: readonly ChainSummaryResponse[]): string {
  const rows = chains.map((chain) => [
    chain.chain_id,
    chain.default ? 'default' : '',
    chainWords(chain),
    chain.signing ? 'yes' : 'no',
  ]);
  return table(['CHAIN', '', 'STATE', 'SIGNING'], rows);
}
