/** Answers checked with no node trusted: on by default, unless the node is one's own. */
import { fromHex, toHex } from '../bytes.ts';
import type { Genesis } from '../chain/genesis.ts';
import { NodeError } from '../errors.ts';
import { nativeCrypto } from '../native/crypto.ts';
import { createClient } from '../sdk/client.ts';
import type { LightBlock, LightRules, TrustedHead } from '../chain/light.ts';
import { DEFAULT_MAX_CLOCK_DRIFT_MS, DEFAULT_TRUSTING_PERIOD_MS, genesisHead } from '../chain/light.ts';
import { fetchTrustedHead, LightClient, MAX_SOURCES } from '../sdk/light-client.ts';
import { checkGenesis } from '../sdk/verify.ts';
import type { Context } from './context.ts';
import { readGenesisFile } from './genesis-file.ts';
import { plural, shortHash } from './output.ts';
import { readTrustedHeads, writeTrustedHeads } from './trusted-heads-file.ts';

export interface Verification {
  /** What is trusted about the chain from the outset; a node's word for fees is not needed. */
  readonly genesis: Genesis;
  readonly client: LightClient;
  /** Remembers the heads verified, and says in one line what was checked. */
  finish(what: string, block: LightBlock): Promise<void>;
}

/** Are answers checked? Unless a flag says so: when the node is not one's own. */
export function isVerifying(context: Context): boolean {
  return context.options.verify ?? !context.isOwnNode();
}

/**
 * @returns null when answers are believed: of one's own node, and with --no-verify
 * @throws NodeError CONFIG without a genesis to begin from; WRONG_GENESIS; USAGE
 */
export async function startVerification(context: Context): Promise<Verification | null> {
  const { options, home, out } = context;
  if (!isVerifying(context)) return null;
  const urls = options.witness ?? [];
  if (urls.length >= MAX_SOURCES) throw new NodeError('USAGE', `at most ${MAX_SOURCES - 1} witnesses are asked`);
  const genesis = await findGenesis(context);
  const { chainId } = genesis.chain;
  const source = context.client(chainId);
  const witnesses = urls.map((url) => createClient({ url, chainId, timeoutMs: context.timeoutMs }));
  const rules: LightRules = {
    crypto: nativeCrypto,
    chain: genesis.chain,
    trustingPeriodMs: DEFAULT_TRUSTING_PERIOD_MS,
    maxClockDriftMs: DEFAULT_MAX_CLOCK_DRIFT_MS,
  };
  const given = options.trust === undefined ? null : await trustedBlock(rules, source, options.trust);
  const root = given ?? genesisHead(nativeCrypto, genesis);
  const remembered = await readTrustedHeads(home, genesis.chain);
  const client = new LightClient({ rules, root, remembered, sources: [source, ...witnesses] });
  const before = client.head.height;
  return {
    genesis,
    client,
    finish: async (what, block) => {
      if (client.head.height > before || given) {
        await writeTrustedHeads(home, genesis.chain, [...(given ? [given] : []), ...client.heads]);
      }
      for (const { url, error } of client.faults) out.note(`not relied on: ${url} (${error.message})`);
      out.note(sentence(what, block, genesis, root));
    },
  };
}

function sentence(what: string, block: LightBlock, { chain }: Genesis, root: TrustedHead): string {
  const signed = `${block.certificate.signers.length} of ${plural(block.validators.validators.length, 'validator')}`;
  const from = root.height === 0 ? `genesis ${shortHash(toHex(chain.genesisHash))}` : `block ${root.height}`;
  const { height } = block.header;
  return `verified: ${what} in block ${height} of ${chain.chainId} (${shortHash(toHex(block.blockId))}), signed by ${signed}, followed from ${from}`;
}

/** That of this home, or of the node when its hash is the one given. */
async function findGenesis(context: Context): Promise<Genesis> {
  const { genesisHash, chain: wanted } = context.options;
  const { genesis: path, chainId } = context.layout();
  const local = await readGenesisFile(path, chainId);
  const hash = genesisHash === undefined ? undefined : hashOf(genesisHash, '--genesis-hash');
  if (hash === undefined && !local) {
    throw new NodeError(
      'CONFIG',
      `the answers of ${context.client().url} cannot be verified: no genesis of ${chainId} here`,
      {
        data: { path },
        hint: 'give --genesis-hash HASH of the network, or aitbc init --genesis FILE; --no-verify believes the node',
      },
    );
  }
  if (local && (hash === undefined || toHex(local.chain.genesisHash) === genesisHash)) return local;
  const genesis = checkGenesis(nativeCrypto, (await context.client().genesis()).genesis, hash);
  if (wanted !== undefined && wanted !== genesis.chain.chainId) {
    throw new NodeError('WRONG_CHAIN', `the genesis is of ${genesis.chain.chainId}, not of ${wanted}`);
  }
  return genesis;
}

function trustedBlock(rules: LightRules, source: ReturnType<Context['client']>, text: string): Promise<TrustedHead> {
  const [, height, hash] = /^([1-9]\d{0,14}):([0-9a-f]{64})$/.exec(text) ?? [];
  if (height === undefined || hash === undefined) {
    throw new NodeError('USAGE', '--trust takes height and hash of a block', {
      hint: 'e.g. --trust 1200:<64 hex digits>',
    });
  }
  return fetchTrustedHead(rules, source, Number(height), fromHex(hash, 32));
}

function hashOf(text: string, option: string): Uint8Array {
  if (/^[0-9a-f]{64}$/.test(text)) return fromHex(text, 32);
  throw new NodeError('USAGE', `${option} takes 64 hex digits`);
}
