/**
 * The command line as a whole. Every command is a file of its own, loaded only when its name is on the command line, so
 * that help is there at once.
 */
import type { OutputConfiguration } from 'commander';
import { Command, CommanderError } from 'commander';
import { isNodeError, NodeError, toNodeError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { collect, duration } from './options.ts';
import { writeError } from './output.ts';

interface CommandFile {
  register(program: Command): void;
}

interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<CommandFile>;
}

/** In the order of help. */
const COMMANDS: Readonly<Record<string, CommandEntry>> = {
  init: { summary: 'make keys, config.toml and the folder of a chain', load: () => import('./init.ts') },
  start: { summary: 'run the node of this home', load: () => import('./start.ts') },
  status: { summary: 'what the node does', load: () => import('./status.ts') },
  send: { summary: 'send AIT, and wait until the transfer is final', load: () => import('./send.ts') },
  watch: {
    summary: 'what happens, as it happens: blocks, txs, account, consensus, peers',
    load: () => import('./watch.ts'),
  },
  wallet: {
    summary: 'wallets: create, import, list, show, use, balance, export, …',
    load: () => import('./wallet.ts'),
  },
  tx: {
    summary: 'transactions between machines: build, sign, broadcast, decode; status, wait',
    load: () => import('./tx.ts'),
  },
  chain: { summary: 'head, block, tx; chains of the node: list, start, stop', load: () => import('./chain.ts') },
  node: { summary: 'this node: id, peers, rotate-store-key', load: () => import('./node.ts') },
  agreement: {
    summary: 'money set aside for a miner: show, open, topup, extend, close',
    load: () => import('./agreement.ts'),
  },
  miner: { summary: 'what a miner has at stake: show, stake, unstake', load: () => import('./miner.ts') },
  validator: { summary: 'who validates: list, show, propose, vote, prove', load: () => import('./validator.ts') },
  version: { summary: 'versions of the program and of Node', load: () => import('./version.ts') },
};

const EXIT_CODES = `
Exit codes:
  0 success            5 node or peer unreachable      9 job failed
  1 unexpected         6 not authorised               10 refused for safety
  2 usage              7 rejected by the chain        11 data corruption found
  3 configuration      8 timed out, may still finish  12 storage failure
  4 not found          130, 143 ended by SIGINT, SIGTERM`;

/** @param argv without interpreter and script @returns the exit code */
export async function runCli(argv: readonly string[]): Promise<number> {
  try {
    const program = await createProgram(argv);
    await program.parseAsync([...argv], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    writeError(error instanceof NodeError ? error : toNodeError(error), argv.includes('--json'));
    return isNodeError(error) ? error.kind.exit : 1;
  }
}

async function createProgram(argv: readonly string[]): Promise<Command> {
  const program = new Command('aitbc');
  const output: OutputConfiguration = { outputError: (text, write) => write(text.replace(/^error: /, '✗ ')) };
  program
    .description('A peer-to-peer proof-of-authority node.')
    .version(VERSION, '-V, --version', 'version of the program')
    .option('--home <dir>', 'data folder (AITBC_HOME; default: the XDG data folder)')
    .option('-n, --chain <id>', 'chain (default: the first of config.toml, else ait-devnet)')
    .option('--rpc <url>', 'node to ask (default: that of this home, else http://127.0.0.1:8006)')
    .option('--json', 'one JSON document on stdout')
    .option('-y, --yes', 'do not ask before sending')
    .option('--timeout <duration>', 'how long to wait, e.g. 10s (default 30s)', duration)
    .option('--wallet-dir <dir>', 'folder of wallets (AITBC_WALLET_DIR; default: keystore in the home)')
    .option('--password-file <file>', 'file whose first line is the password')
    .option('--verify', 'check answers against the validators of the chain (default unless the node is your own)')
    .option('--no-verify', 'believe the node')
    .option('--trust <height:hash>', 'recent block to begin checking from, instead of the genesis')
    .option('--genesis-hash <hash>', 'genesis to check against when this home has none')
    .option('--witness <url>', 'further node whose head is compared; repeatable', collect)
    .configureOutput(output)
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', EXIT_CODES)
    .exitOverride();
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    if (argv.includes(name)) (await load()).register(program);
    else program.command(name).description(summary);
  }
  adopt(program, output);
  return program;
}

/** Settings that commander hands to subcommands made by `command()`, for those made before them. */
function adopt(command: Command, output: OutputConfiguration): void {
  for (const child of command.commands) {
    child.exitOverride().configureOutput(output).configureHelp({ showGlobalOptions: true });
    child.showHelpAfterError('(--help shows what there is)');
    adopt(child, output);
  }
}
