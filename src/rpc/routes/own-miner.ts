/** The miner of this node, for its operator alone. */
import { toHex } from '../../bytes.ts';
import { formatAddress } from '../../chain/address.ts';
import { owedUait } from '../../compute/miner/ledger.ts';
import type { MinerStatus } from '../../compute/miner/status.ts';
import { NodeError } from '../../errors.ts';
import type { MinerApi } from '../api.ts';
import { noQuery, strict } from '../app.ts';
import type { Operation } from '../operation.ts';
import { fresh, operation } from '../operation.ts';
import { OwnMiner } from '../own-miner-schema.ts';

const MAX_BODY_BYTES = 1024;
/** Agreements told one by one; the sums are of all. */
const MAX_AGREEMENTS = 1_000;

/** Of a node without one. */
export const NO_MINER: MinerApi = {
  status: () => {
    throw noMiner();
  },
  drain: () => Promise.reject(noMiner()),
};

function noMiner(): NodeError {
  return new NodeError('NOT_FOUND', 'this node has no miner', { hint: 'aitbc miner init, then aitbc miner start' });
}

export function ownMinerOperations(miner: MinerApi): Operation[] {
  const shared = { methods: [], scope: null, params: strict({}), query: noQuery } as const;
  return [
    operation({
      ...shared,
      verb: 'GET',
      path: '/api/miner',
      summary: 'The miner of this node: slots, models, agreements and earnings',
      answers: { 200: { description: 'The miner as it is now', schema: OwnMiner } },
      errors: ['NOT_FOUND'],
      handle: () => fresh(minerView(miner.status())),
    }),
    operation({
      ...shared,
      verb: 'POST',
      path: '/api/miner/drain',
      summary: 'Takes no more work until the node starts again; answers at once, while work goes on to its end',
      body: { forms: [], maxBytes: MAX_BODY_BYTES },
      answers: { 200: { description: 'The miner as it is now', schema: OwnMiner } },
      errors: ['NOT_FOUND'],
      handle: () => {
        // A failure of it is the miner's own to report.
        miner.drain().catch(() => undefined);
        return fresh(minerView(miner.status()));
      },
    }),
  ];
}

function minerView(status: MinerStatus) {
  const { address, state, reason, slots, free, working, streams, models, speeds, agreements, closed } = status;
  return {
    address: formatAddress(address),
    ...{ state, slots, free, working, streams },
    reason: reason && { code: reason.code, message: reason.text },
    staked_uait: String(status.stakedUait),
    balance_uait: String(status.balanceUait),
    models: models.map(({ kind, model, digest, warm, streams: isStreaming, price }) => {
      const speed = speeds.find((each) => each.kind === kind && each.model === model);
      return {
        ...{ kind, model, warm, streams: isStreaming },
        digest: digest && toHex(digest),
        fixed_uait: String(price.fixedUait),
        input_uait_per_kib: String(price.inputUaitPerKib),
        output_uait_per_kib: String(price.outputUaitPerKib),
        bytes_per_second: Math.round(speed?.bytesPerSecond ?? 0),
        first_output_ms: speed?.firstMs == null ? null : Math.round(speed.firstMs),
      };
    }),
    agreements: agreements.slice(0, MAX_AGREEMENTS).map((ledger) => ({
      agreement: toHex(ledger.agreement),
      client: formatAddress(ledger.client),
      state: ledger.chainState,
      cap_uait: String(ledger.capUait),
      due_uait: String(owedUait(ledger)),
      paid_uait: String(ledger.paidUait),
      receipts: ledger.receipts.length,
      expires_at: new Date(ledger.expiresAtMs).toISOString(),
    })),
    settlements_pending: status.settlements,
    unsettled_uait: String(status.unsettledUait),
    closed: {
      agreements: closed.agreements,
      receipts: closed.receipts,
      earned_uait: String(closed.earnedUait),
    },
  };
}
