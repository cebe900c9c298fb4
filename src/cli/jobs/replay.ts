/** Work done again on this machine, and what its outcome shows of the miner. */
import { toHex } from '../../bytes.ts';
import { addressOf, formatAddress } from '../../chain/address.ts';
import type { WorkDocument } from '../../chain/market/work-json.ts';
import type { BlobReader, Replayer, ReplayVerdict } from '../../compute/coordinator/replay.ts';
import { replayWork } from '../../compute/coordinator/replay.ts';
import { loadConfig } from '../../config.ts';
import { NodeError } from '../../errors.ts';
import { createLogger } from '../../log.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import { createNodeReplayer } from '../../node/replay.ts';
import type { Context } from '../context.ts';
import { readConfigText } from '../context.ts';

export interface ReplayJson {
  readonly result: ReplayVerdict['result'];
  readonly replayed_hash: string | null;
  readonly why: string | null;
}

/** Up to what a job may take; a second Ctrl-C is not needed for less. */
const LEAST_MS = 30_000;

/**
 * Never fails for what this machine cannot do: that is `unknown`.
 *
 * @param read of the blobs that the input names
 * @throws NodeError BAD_RECEIPT
 */
export async function replayHere(context: Context, work: WorkDocument, read: BlobReader): Promise<ReplayVerdict> {
  const { job, content, receipt } = work;
  const { kind, model, modelDigest } = receipt.signed.receipt;
  const signal = AbortSignal.timeout(job.spec.executionMs + LEAST_MS);
  const log = createLogger({ level: 'error', format: 'pretty', stream: process.stderr });
  const paid = { job, content, receipt: receipt.signed.receipt };
  const simple = createNodeReplayer(log);
  if (modelDigest === null || simple.covers(kind, model, modelDigest)) {
    return replayWork(nativeCrypto, receipt.chain, paid, simple, signal, read);
  }
  const [{ openExecutors }, { createReplayer }] = await Promise.all([
    import('../../node/executors.ts'),
    import('../../compute/replayer.ts'),
  ]);
  const { miner } = loadConfig({ fileText: readConfigText(context.home) ?? '', env: process.env });
  const executors = await openExecutors(miner, context.home, log);
  try {
    const { capabilities } = await executors.probe(signal);
    const replayer: Replayer = createReplayer({ capabilities, run: (each, io) => executors.run(each, io) });
    return await replayWork(nativeCrypto, receipt.chain, paid, replayer, signal, read);
  } finally {
    await executors.close();
  }
}

export function replayJson(verdict: ReplayVerdict): ReplayJson {
  const { result, outputHash } = verdict;
  return {
    result,
    replayed_hash: outputHash && toHex(outputHash),
    why: verdict.result === 'unknown' ? verdict.why : null,
  };
}

/** One line for people. */
export function replayLine(verdict: ReplayVerdict): string {
  switch (verdict.result) {
    case 'same':
      return '✓ Done again on this machine, the work gives the very result that the miner signed.';
    case 'different':
      return '✗ Done again on this machine, the work gives another result than the miner signed.';
    case 'unknown':
      return `· Not shown either way: ${verdict.why}. Neither right nor wrong follows from that.`;
  }
}

/** @param proof where all that shows it lies */
export function wrongResult({ receipt }: WorkDocument, verdict: ReplayVerdict, proof: string): NodeError {
  const { signed } = receipt;
  return new NodeError('WRONG_RESULT', 'the miner signed a result that the work does not give', {
    data: {
      job: toHex(signed.receipt.job),
      receipt: toHex(receipt.id),
      miner: formatAddress(addressOf(nativeCrypto, signed.receipt.miner)),
      signed: toHex(signed.receipt.outputHash),
      replayed: verdict.outputHash && toHex(verdict.outputHash),
      proof,
    },
    hint: `do not rely on the answer; whoever doubts it runs: aitbc job verify ${proof}`,
  });
}
