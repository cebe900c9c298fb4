/** `aitbc status`: what the node does, in one line of words or the fields programs rely on. */
import type { Command } from 'commander';
import { NodeError } from '../errors.ts';
import type { ChainSummaryResponse, SnapshotProgressResponse, StatusResponse } from '../sdk/types.ts';
import type { Context } from './context.ts';
import { createContext } from './context.ts';
import { fields, plural, shortHash } from './output.ts';

export function register(program: Command): void {
  program
    .command('status')
    .description('what the node does')
    .option('--check', 'exit 0 when synced, 5 when not, 8 when it does not answer in time')
    .action(async (options: { readonly check?: boolean }, command: Command) => {
      await showStatus(createContext(command), options.check === true);
    });
}

async function showStatus(context: Context, check: boolean): Promise<void> {
  const status = await context.status();
  const { chain_id, height, hash, state_root, round, state } = status;
  const { validators_reachable, validators_total, quorum, signing } = status;
  const document = {
    ...{ chain_id, height, hash, state_root, round, state },
    ...{ validators_reachable, validators_total, quorum, signing },
  };
  context.out.data(document, [describe(status), ...(await others(context, chain_id))].join('\n'));
  if (check && state !== 'synced') {
    throw new NodeError(state === 'halted' ? 'NO_QUORUM' : 'SYNCING', sentence(status));
  }
}

/** What else the node runs, or fails to run. */
async function others(context: Context, chainId: string): Promise<string[]> {
  const { chains } = await context.client().chains();
  const rest = chains.filter(({ chain_id }) => chain_id !== chainId);
  return rest.length === 0 ? [] : [fields(rest.map((chain) => [`${chain.chain_id}`, chainWords(chain)]))];
}

/** e.g. "failed: CORRUPT: …" or "running, synced at height 12". */
export function chainWords({ state, error, health, height }: ChainSummaryResponse): string {
  if (error) return `${state}: ${error.code}: ${error.message}`;
  return health === null ? state : `${state}, ${health} at height ${height ?? 0}`;
}

/** e.g. "halted safely: 1 of 3 validators reachable, 2 needed". */
export function sentence(status: StatusResponse): string {
  const { state, validators_reachable, validators_total, quorum } = status;
  const reach = `${validators_reachable} of ${plural(validators_total, 'validator')} reachable, ${quorum} needed`;
  switch (state) {
    case 'synced':
      return `synced: ${reach}`;
    case 'halted':
      return validators_reachable < quorum
        ? `halted safely: ${reach}`
        : `halted: ${status.not_signing.join('; ') || reach}`;
    case 'syncing':
      return `syncing: ${syncWords(status)}; ${reach}`;
    case 'starting':
      return `starting: ${reach}`;
  }
}

/** e.g. "block 1200 of 5000 (24 %), 640 blocks/s, 6 s left". */
function syncWords({ height, target_height: target, sync, snapshot }: StatusResponse): string {
  if (snapshot) return snapshotWords(snapshot);
  const blocks = target === null ? `block ${height}` : `block ${height} of ${target} (${percent(height, target)} %)`;
  if (!sync) return blocks;
  return `${blocks}, ${Math.round(sync.blocks_per_s)} blocks/s, ${Math.ceil(sync.eta_ms / 1000)} s left`;
}

/** e.g. "fetching the state of height 5000: 120 of 300 chunks (40 %), 12.3 MB/s, 5 s left". */
function snapshotWords(progress: SnapshotProgressResponse): string {
  const { phase, height, chunks_done: done, chunks_total: total, bytes_per_s: rate, eta_s: eta } = progress;
  if (phase === 'finding') return 'looking for a snapshot of the state';
  const part = `${phase} the state of height ${height ?? '?'}: ${done} of ${total} chunks (${percent(done, total)} %)`;
  return `${part}${rate > 0 ? `, ${(rate / 1e6).toFixed(1)} MB/s` : ''}${eta === null ? '' : `, ${eta} s left`}`;
}

function percent(part: number, whole: number): number {
  return Math.floor((part * 100) / Math.max(1, whole));
}

function describe(status: StatusResponse): string {
  const { signing, not_signing, hash, round } = status;
  return [
    sentence(status),
    fields([
      ['chain', `${status.chain_id} (genesis ${shortHash(status.genesis_hash)})`],
      ['head', hash === null ? 'no block yet' : `${status.height} ${shortHash(hash)} round ${round ?? '?'}`],
      ['signing', signing ? 'yes' : `no: ${not_signing.join('; ') || 'unknown reason'}`],
      ['pool', plural(status.pool.txs, 'transaction')],
      ['peers', status.peers],
      ['node', `${status.name} ${status.version} ${status.peer_id}`],
    ]),
  ].join('\n');
}
