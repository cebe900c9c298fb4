/** `aitbc start`: runs the node until a signal ends it. */
import type { Command } from 'commander';
import { loadConfig } from '../config.ts';
import type { NodeConfig } from '../config.ts';
import { NodeError } from '../errors.ts';
import type { RunningNode } from '../node.ts';
import type { Context } from './context.ts';
import { createContext, readConfigText } from './context.ts';
import { collect, wholeNumber } from './options.ts';

interface StartOptions {
  readonly rpcListen?: string;
  readonly p2pListen?: readonly string[];
  readonly metricsListen?: string;
  readonly peer?: readonly string[];
  readonly sign: boolean;
  readonly signAbove?: number;
  readonly trustHeight?: number;
  readonly trustHash?: string;
  readonly logLevel?: string;
}

/** After a clean stop, whatever still holds the process is cut off. */
const LINGER_MS = 3000;
const SIGNAL_EXITS = { SIGINT: 130, SIGTERM: 143 } as const;

export function register(program: Command): void {
  program
    .command('start')
    .description('run the node of this home')
    .option('--rpc-listen <host:port>', 'where HTTP is served')
    .option('--p2p-listen <multiaddr>', 'where other nodes connect to (repeatable)', collect)
    .option('--metrics-listen <host:port>', 'where metrics are served, or "off"')
    .option('--peer <multiaddr>', 'node to stay connected with, besides those of config.toml (repeatable)', collect)
    .option('--no-sign', 'follow the chain without voting')
    .option(
      '--sign-above <height>',
      'your word that the validator key signed nothing above this height: sign above it although the sign guard is ' +
        'missing, refuses, or is older than the last use of the key',
      wholeNumber,
    )
    .option('--trust-height <height>', 'recent block to begin a new node from, instead of the genesis', wholeNumber)
    .option('--trust-hash <hash>', 'its hash, from someone you trust')
    .option('--log-level <levels>', 'e.g. info or info,net:debug')
    .action(async (options: StartOptions, command: Command) => {
      await start(createContext(command), options);
    });
}

async function start(context: Context, options: StartOptions): Promise<void> {
  // Most of the program, which help does not need.
  const [{ createLogger }, { startNode }] = await Promise.all([import('../log.ts'), import('../node.ts')]);
  const config = configOf(context, options);
  if (options.signAbove !== undefined && config.chains.length > 1) {
    throw new NodeError('USAGE', '--sign-above is your word for one chain, and this home has several', {
      hint: `say which one: aitbc start --chain ${config.chains[0] ?? ''} --sign-above ${options.signAbove}; then start without both`,
    });
  }
  const json = config.log.format === 'json' || (config.log.format === 'auto' && !process.stderr.isTTY);
  const log = createLogger({ level: config.log.level, format: json ? 'json' : 'pretty', stream: process.stderr });
  const signals = watchSignals();
  let node: RunningNode;
  try {
    node = await startNode({ home: context.home, config, log });
  } finally {
    signals.started();
  }
  if (!json) {
    context.out.note(
      `Ready: ${node.chainIds.join(', ')} · rpc ${node.rpcUrl} · p2p ${node.multiaddrs.join(' ') || 'not listening'}`,
    );
  }
  await new Promise<void>((resolve) => {
    signals.onStop(resolve);
  });
  log.info('stopping', { again: 'a second signal ends at once' });
  await node.stop();
  process.exitCode = 0;
  setTimeout(() => process.exit(0), LINGER_MS).unref();
}

function configOf(context: Context, options: StartOptions): NodeConfig {
  const fileText = readConfigText(context.home) ?? '';
  const sources = { fileText, env: process.env };
  const peers = options.peer && [...loadConfig(sources).p2p.peers, ...options.peer];
  return loadConfig({
    ...sources,
    flags: {
      chains: context.options.chain === undefined ? undefined : [context.options.chain],
      'rpc.listen': options.rpcListen,
      'p2p.listen': options.p2pListen,
      'p2p.peers': peers,
      'metrics.listen': options.metricsListen,
      'log.level': options.logLevel,
      'consensus.sign': options.sign ? undefined : false,
      'snapshot.trust_height': options.trustHeight,
      'snapshot.trust_hash': options.trustHash,
      'consensus.sign_above': options.signAbove,
    },
  });
}

/** The first signal asks to stop, also while the node still starts; the second ends the process. */
function watchSignals(): { started(): void; onStop(stop: () => void): void } {
  let asked = false;
  let starting = true;
  let stop: (() => void) | null = null;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (asked) process.exit(SIGNAL_EXITS[signal]);
      asked = true;
      if (!starting) stop?.();
    });
  }
  return {
    started: () => {
      starting = false;
    },
    onStop: (fn) => {
      stop = fn;
      if (asked) fn();
    },
  };
}
