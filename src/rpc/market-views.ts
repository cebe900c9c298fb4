/** The JSON of agreements and stakes. */
import type { Address, Hash } from '../bytes.ts';
import { toHex } from '../bytes.ts';
import { formatAddress } from '../chain/address.ts';
import { getAgreement, heldInAgreement } from '../chain/modules/compute/agreement.ts';
import { getStake } from '../chain/modules/compute/stake.ts';
import type { StateReader } from '../chain/state.ts';

/** @returns null when the state has no such agreement: it was never opened, or closed long ago */
export function agreementView(state: StateReader, id: Hash, height: number) {
  const agreement = getAgreement(state, id);
  if (!agreement) return null;
  const { state: now } = agreement;
  return {
    agreement: toHex(id),
    state: now.name,
    client: formatAddress(agreement.client),
    signer: toHex(agreement.signer),
    miner: formatAddress(agreement.miner),
    cap_uait: String(agreement.capUait),
    paid_uait: String(agreement.paidUait),
    held_uait: String(heldInAgreement(agreement)),
    refunded_uait: String(now.name === 'closed' ? now.refundedUait : 0),
    expires_at: timeText(agreement.expiresAtMs),
    closing_since: now.name === 'closing' ? { height: now.sinceHeight, time: timeText(now.sinceMs) } : null,
    closed: now.name === 'closed' ? { height: now.atHeight, time: timeText(now.atMs) } : null,
    receipts_root: agreement.receiptsRoot.some((byte) => byte !== 0) ? toHex(agreement.receiptsRoot) : null,
    height,
  };
}

/** Who never staked has nothing at stake. */
export function stakeView(state: StateReader, miner: Address, height: number) {
  const { stakedUait, coolingUait, coolsUntilMs } = getStake(state, miner);
  return {
    address: formatAddress(miner),
    staked_uait: String(stakedUait),
    cooling_uait: String(coolingUait),
    cools_until: coolingUait === 0 ? null : timeText(coolsUntilMs),
    height,
  };
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
