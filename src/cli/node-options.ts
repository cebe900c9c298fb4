/** The options of a node that a command line may give, over the environment and config.toml. */
import type { Command } from 'commander';
import type { ConfigSources } from '../config.ts';
import { loadConfig } from '../config.ts';
import type { Context } from './context.ts';
import { readConfigText } from './context.ts';
import { collect, wholeNumber } from './options.ts';

export interface NodeOptions {
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

export function addNodeOptions(command: Command): Command {
  return command
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
    .option('--log-level <levels>', 'e.g. info or info,net:debug');
}

/** @throws NodeError CONFIG */
export function nodeSources(context: Context, options: NodeOptions): ConfigSources {
  const fileText = readConfigText(context.home) ?? '';
  const sources = { fileText, env: process.env };
  const peers = options.peer && [...loadConfig(sources).p2p.peers, ...options.peer];
  return {
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
  };
}
