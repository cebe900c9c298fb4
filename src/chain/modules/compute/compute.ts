/** The market's money: agreements between clients and miners, and what miners have at stake. */
import type { BlockContext, HeadState, JsonObject, Module, PendingWork, StateEntries } from '../types.ts';
import { decodeAgreement, heldInAgreement } from './agreement.ts';
import { closeAgreement, extendAgreement, openAgreement, topupAgreement } from './agreement-client.ts';
import { releaseAgreement, settleAgreement } from './agreement-miner.ts';
import { AGREEMENT_ENTRY, closeDue, closingDueMs, expire } from './closing.ts';
import { firstDue, nextDeadlineMs } from './deadlines.ts';
import { computeInvariants } from './invariants.ts';
import { COMPUTE_MODULE, isAgreementKey, isStakeKey, PARAMS_KEY } from './keys.ts';
import { computeParamsFromJson, encodeComputeParams } from './params.ts';
import { decodeStake, returnCooled, stake, unstake } from './stake.ts';

/** Deadlines that one block sees to; the rest is due in the next. Some 10 ms of work. */
export const MAX_DUE_A_BLOCK = 128;

/** After the transactions, so that a settlement in the block that closes its agreement still counts. */
function endBlock(context: BlockContext): void {
  let left = MAX_DUE_A_BLOCK;
  left -= closeDue(context, left);
  for (; left > 0; left--) {
    const due = firstDue(context.state, context.timeMs);
    if (!due) return;
    if (due.entry[0] === AGREEMENT_ENTRY) expire(context, due.entry);
    else returnCooled(context.state, due.entry);
  }
}

function pendingWork(head: HeadState): PendingWork {
  const times = [nextDeadlineMs(head.state), closingDueMs(head)].filter((atMs) => atMs !== null);
  return { now: false, atMs: times.length === 0 ? null : Math.min(...times) };
}

function heldUait(entries: StateEntries): number {
  let held = 0;
  for (const [key, value] of entries) {
    if (isAgreementKey(key)) held += heldInAgreement(decodeAgreement(value));
    if (!isStakeKey(key)) continue;
    const { stakedUait, coolingUait } = decodeStake(value);
    held += stakedUait + coolingUait;
  }
  return held;
}

function encodeSection(section: JsonObject): Uint8Array {
  return encodeComputeParams(computeParamsFromJson(section));
}

export const compute: Module = {
  id: COMPUTE_MODULE,
  name: 'compute',
  txTypes: [
    openAgreement,
    topupAgreement,
    extendAgreement,
    settleAgreement,
    releaseAgreement,
    closeAgreement,
    stake,
    unstake,
  ],
  encodeGenesis: encodeSection,
  initGenesis: ({ state }, section) => {
    state.set(PARAMS_KEY, encodeSection(section));
  },
  endBlock,
  pendingWork,
  heldUait,
  invariants: computeInvariants,
};
