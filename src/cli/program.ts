/**
 * The command line as a whole. Every command is a file of its own, loaded only when its name is on the command line, so
 * that help is there at once.
 */
import type { OutputConfiguration } from 'commander';
import { Command, CommanderError } from 'commander';
import { isNodeError, NodeError, toNodeError } from '../errors.ts';
import { VERSION } from '../version.ts';
import { expandAliases, operandPlaces } from './aliases.ts';
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
  join: { summary: 'become part of a network, and catch up until "Synced"', load: () => import('./join.ts') },
  start: { summary: 'run the node of this home', load: () => import('./start.ts') },
  status: { summary: 'what the node does', load: () => import('./status.ts') },
  doctor: { summary: 'what is wrong with a node, and the fix for each', load: () => import('./doctor.ts') },
  peers: { summary: 'connected nodes: path, round-trip time and head', load: () => import('./peers.ts') },
  send: { summary: 'send AIT, and wait until the transfer is final', load: () => import('./send.ts') },
  submit: { summary: 'have a prompt answered, paid from your own wallet', load: () => import('./submit.ts') },
  job: {
    summary: 'jobs: run SPEC.yaml, list, show, watch, logs, result, receipt, verify, cancel, why',
    load: () => import('./job.ts'),
  },
  miners: { summary: 'who does work for others now, and for how much', load: () => import('./miners.ts') },
  receipts: { summary: 'receipts of your jobs', load: () => import('./receipts.ts') },
  receipt: { summary: 'receipts in files: verify', load: () => import('./receipt.ts') },
  watch: {
    summary: 'what happens, as it happens: blocks, txs, account, consensus, peers, jobs',
    load: () => import('./watch.ts'),
  },
  wallet: {
    summary: 'wallets: create, import, list, show, use, balance, history, export, …',
    load: () => import('./wallet.ts'),
  },
  tx: {
    summary: 'transactions between machines: build, sign, broadcast, decode; status, wait',
    load: () => import('./tx.ts'),
  },
  chain: { summary: 'head, block, tx; chains of the node: list, start, stop', load: () => import('./chain.ts') },
  debug: { summary: 'what helps others to help: bundle', load: () => import('./debug.ts') },
  backup: {
    summary: 'keys, sign guards and configuration in one file: create, restore',
    load: () => import('./backup.ts'),
  },
  config: { summary: 'options of this node: show, and where each came from; check', load: () => import('./config.ts') },
  node: { summary: 'this node: id, peers, rotate-store-key', load: () => import('./node.ts') },
  key: { summary: 'API keys of this node: create, list, revoke', load: () => import('./key.ts') },
  network: {
    summary: 'make a network: new, seal; its join document: sign, renew, show',
    load: () => import('./network.ts'),
  },
  agreement: {
    summary: 'money set aside for a miner: show, open, topup, extend, close',
    load: () => import('./agreement.ts'),
  },
  miner: {
    summary: 'do work for others: init, start, status, bench, drain, earnings; stake, unstake, show',
    load: () => import('./miner.ts'),
  },
  validator: { summary: 'who validates: list, show, propose, vote, prove', load: () => import('./validator.ts') },
  demo: { summary: 'see what the network does when parts of it fail: failover', load: () => import('./demo.ts') },
  completion: { summary: 'completion for bash, zsh or fish', load: () => import('./completion.ts') },
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
    const program = createProgram();
    const takesValue = valueOptions(program);
    const line = expandAliases(argv, takesValue, (words, command) => {
      process.stderr.write(`aitbc ${words} is now: aitbc ${command}\n`);
    });
    await addCommands(
      program,
      operandPlaces(line, takesValue).map((i) => line[i] ?? ''),
    );
    await program.parseAsync(line, { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    writeError(error instanceof NodeError ? error : toNodeError(error), argv.includes('--json'));
    return isNodeError(error) ? error.kind.exit : 1;
  }
}

const OUTPUT: OutputConfiguration = { outputError: (text, write) => write(text.replace(/^error: /, '✗ ')) };

/** The global options, and no command yet. */
function createProgram(): Command {
  const program = new Command('aitbc');
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
    .option('--api-key-file <file>', 'file with the API key of the node (AITBC_API_KEY_FILE)')
    .option('--verify', 'check answers against the validators of the chain (default unless the node is your own)')
    .option('--no-verify', 'believe the node')
    .option('--trust <height:hash>', 'recent block to begin checking from, instead of the genesis')
    .option('--genesis-hash <hash>', 'genesis to check against when this home has none')
    .option('--witness <url>', 'further node whose head is compared; repeatable', collect)
    .configureOutput(OUTPUT)
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText('after', EXIT_CODES)
    .exitOverride();
  return program;
}

/** @param named the first words of the command line: only their commands are loaded, or all for completion */
async function addCommands(program: Command, named: readonly string[]): Promise<void> {
  for (const [name, { summary, load }] of Object.entries(COMMANDS)) {
    if (named.includes(name) || named[0] === 'completion') (await load()).register(program);
    else program.command(name).description(summary);
  }
  adopt(program);
}

function valueOptions(program: Command): ReadonlySet<string> {
  const options = program.options.filter(({ required, optional }) => required || optional);
  return new Set(options.flatMap(({ short, long }) => [short, long].flatMap((name) => (name == null ? [] : [name]))));
}

/** Settings that commander hands to subcommands made by `command()`, for those made before them. */
function adopt(command: Command): void {
  for (const child of command.commands) {
    child.exitOverride().configureOutput(OUTPUT).configureHelp({ showGlobalOptions: true });
    child.showHelpAfterError('(--help shows what there is)');
    adopt(child);
  }
}
