/** How each chain is, in one line of the log every ten seconds: whoever looks there sees that the node is alive, and where. */
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import type { LogContext, Logger } from '../log.ts';
import { chainLogger } from '../log.ts';
import type { ChainApi, NodeApi } from '../rpc/api.ts';

export const STATUS_LINE_MS = 10_000;

/** @returns ends it */
export function startStatusLines(api: NodeApi, clock: Clock, log: Logger): () => void {
  let heights = heightsOf(api);
  return every(clock, STATUS_LINE_MS, () => {
    const before = heights;
    heights = heightsOf(api);
    for (const { chainId, api: chain } of api.chains()) {
      if (chain) chainLogger(log, chainId).info('status', statusOf(chain, before.get(chainId)));
    }
  });
}

function heightsOf(api: NodeApi): Map<string, number> {
  return new Map(
    api.chains().flatMap(({ chainId, api: chain }) => (chain ? [[chainId, chain.chain.tip().height]] : [])),
  );
}

/** @param heightBefore ten seconds ago; undefined for a chain that was not there */
function statusOf(chain: ChainApi, heightBefore: number | undefined): LogContext {
  const { state, validatorsReachable, validatorsTotal, quorum, targetHeight, sync, signing, notSigning } =
    chain.status();
  const { height } = chain.chain.tip();
  const { round } = chain.place();
  return {
    state,
    height,
    blocks: height - (heightBefore ?? height),
    peers: chain.peers().length,
    validators: `${validatorsReachable}/${validatorsTotal}`,
    pending: chain.pool.size,
    ...(round > 0 && { round }),
    ...(state === 'halted' && { quorum }),
    ...(targetHeight !== null && { target: targetHeight }),
    ...(sync && { blocksPerS: Math.round(sync.blocksPerSecond), etaS: Math.ceil(sync.etaMs / 1_000) }),
    ...(chain.node.validator && !signing && { notSigning }),
  };
}
