/** `aitbc network`: making a network, with all keys in one hand or each at its site, and the document others join with. */
import type { Command } from 'commander';
import { createContext } from './context.ts';
import type { NewOptions } from './network/commands.ts';
import { collect, positiveNumber } from './options.ts';

/** Loaded when it is needed, which help does not. */
const work = () => import('./network/commands.ts');

const VALID_DAYS = 365;

export function register(program: Command): void {
  const network = program.command('network').description('make a network: new, or seal cards; sign, renew, show');
  addGenesisOptions(
    network
      .command('new')
      .description('genesis, signed join document, and a bundle under a password for each node, keys included')
      .argument('<chain>', 'id of the chain, e.g. ait-testnet')
      .option('--validators <site=n,…>', 'validators at each site (default at1=1,aitbc1=1,ns3=1)')
      .option('--sites <file>', 'sites with names, hosts and validators, in place of --validators')
      .option(
        '--host <name=host[:port]>',
        'host of a site or a node; the name itself when absent (repeatable)',
        collect,
      )
      .option('--rpc-url <site=url>', 'where nodes of a site are asked over HTTP (repeatable)', collect),
  ).action(async (chainId: string, options: NewOptions, command: Command) => {
    const { newNetwork } = await work();
    await newNetwork(createContext(command), chainId, options);
  });
  addGenesisOptions(
    network
      .command('seal')
      .description('genesis, join document and config.toml out of the cards of validators, who keep their keys')
      .argument('<card...>', 'files made by validator show --card'),
  ).action(async (cards: string[], options: NewOptions, command: Command) => {
    const { seal } = await work();
    await seal(createContext(command), cards, options);
  });
  network
    .command('sign')
    .description(
      'sign a join document with the validator key of this home, and put signatures of several copies together',
    )
    .argument('<file...>', 'copies of one join document')
    .option('--out <file>', 'where the document goes; the first file when absent')
    .action(async (files: string[], { out }: { readonly out?: string }, command: Command) => {
      const { sign } = await work();
      await sign(createContext(command), files, out);
    });
  network
    .command('renew')
    .description('the same document with new dates, for the validators to sign')
    .argument('<file>', 'join document, expired or not')
    .requiredOption('--out <file>', 'file to make')
    .option('--valid-days <days>', 'how long it is valid', positiveNumber, VALID_DAYS)
    .action(async (file: string, options: { readonly out: string; readonly validDays: number }, command: Command) => {
      const { renew } = await work();
      await renew(createContext(command), file, options.out, options.validDays);
    });
  network
    .command('show')
    .description('check a join document, and say what it leads to and what the network survives')
    .argument('<source>', 'URL of a node or of a join document, a file, or the multiaddr of a peer')
    .action(async (source: string, _options: object, command: Command) => {
      const { show } = await work();
      await show(createContext(command), source);
    });
}

function addGenesisOptions(command: Command): Command {
  return command
    .requiredOption('--out <dir>', 'folder for what is made')
    .option('--account <address=amount>', 'account funded in the genesis (repeatable)', collect)
    .option('--operator-balance <amount>', 'what the account of each operator has at first', '10000')
    .option('--valid-days <days>', 'how long the join document is valid', positiveNumber, VALID_DAYS);
}
