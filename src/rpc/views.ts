/** The JSON of blocks, accounts and validators: snake_case, amounts as strings of uait, times RFC 3339 UTC. */
import type { Address } from '../bytes.ts';
import { bytesKey, keyHex, toHex } from '../bytes.ts';
import type { Account } from '../chain/accounts.ts';
import { accountKey, decodeAccount, EMPTY_ACCOUNT } from '../chain/accounts.ts';
import { formatAddress } from '../chain/address.ts';
import { evidenceHeight, evidenceOffender } from '../chain/evidence.ts';
import { openProposalsJson } from '../chain/modules/validators.ts';
import { getAbsences, isDemotedAt } from '../chain/modules/validators-absence.ts';
import { getSets } from '../chain/modules/validators-state.ts';
import type { ChainParams } from '../chain/params.ts';
import { receiptCodeName } from '../chain/receipt.ts';
import type { StateReader } from '../chain/state.ts';
import { transactionToJson } from '../chain/tx-json.ts';
import type { Validator, ValidatorSet } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import type { ChainApi, ChainView, ConsensusPlace, ConsensusStatus, PeerInfo, RefusedPeer, SeenVote } from './api.ts';
import type { StoredBlock } from './proofs.ts';
import { stateProof } from './proofs.ts';

export function headView({ block, hash, certificate }: StoredBlock) {
  const { header, txs } = block;
  return {
    chain_id: header.chainId,
    height: header.height,
    hash: toHex(hash),
    timestamp: new Date(header.timeMs).toISOString(),
    tx_count: txs.length,
    state_root: toHex(header.stateRoot),
    proposer: toHex(header.proposer),
    round: certificate.round,
  };
}

/** @param full transactions in their JSON form beside their hashes */
export function blockView(chain: ChainView, stored: StoredBlock, full: boolean) {
  const { block, certificate } = stored;
  const { header } = block;
  const receipts = chain.receipts(header.height);
  return {
    ...headView(stored),
    version: header.version,
    parent_hash: toHex(header.parent),
    tx_root: toHex(header.txRoot),
    receipts_root: toHex(header.receiptsRoot),
    validators_hash: toHex(header.validatorsHash),
    next_validators_hash: toHex(header.nextValidatorsHash),
    last_commit_hash: toHex(header.lastCommitHash),
    evidence_root: toHex(header.evidenceRoot),
    transactions: block.txs.map((tx, index) => {
      const code = receipts?.[index]?.code ?? null;
      return {
        hash: keyHex(tx.key),
        code,
        code_name: code === null ? null : (receiptCodeName(code) ?? null),
        ...(full && { transaction: transactionToJson(tx) }),
      };
    }),
    evidence: block.evidence.map((evidence) => ({
      kind: evidence.kind,
      height: evidenceHeight(evidence),
      validator: toHex(evidenceOffender(evidence)),
    })),
    certificate: certificateView(certificate),
  };
}

function certificateView(certificate: Certificate) {
  return {
    type: certificate.type,
    height: certificate.height,
    round: certificate.round,
    block_hash: toHex(certificate.blockId),
    signatures: certificate.signers.map((signer, i) => ({
      signer,
      signature: toHex(certificate.signatures[i] ?? new Uint8Array()),
    })),
  };
}

/** Accounts that were never touched are empty. `proof` holds all that is needed to check this answer offline. */
export function accountView(api: ChainApi, address: Address, withProof: boolean) {
  const tip = api.chain.tip();
  const key = accountKey(address);
  const value = tip.state.get(key);
  const account: Account = value === undefined ? EMPTY_ACCOUNT : decodeAccount(value);
  const view = {
    address: formatAddress(address),
    balance_uait: String(account.balanceUait),
    nonce: account.nonce,
    height: tip.height,
  };
  return withProof ? { ...view, proof: stateProof(api, key) } : view;
}

function validatorView(validator: Validator) {
  return {
    public_key: toHex(validator.publicKey),
    name: validator.name,
    power: validator.power,
    operator: formatAddress(validator.operator),
  };
}

export function validatorSetView(set: ValidatorSet) {
  return { total_power: set.totalPower, validators: set.validators.map(validatorView) };
}

/** @param state after block `height` */
export function validatorsView(state: StateReader, height: number) {
  const { last, current, next } = getSets(state);
  const demotedUntil = new Map(
    getAbsences(state)
      .filter((absence) => isDemotedAt(absence, height + 1))
      .map(({ publicKey, untilHeight }) => [bytesKey(publicKey), untilHeight]),
  );
  return {
    last: last && validatorSetView(last),
    current: {
      total_power: current.totalPower,
      validators: current.validators.map((validator) => ({
        ...validatorView(validator),
        demoted_until: demotedUntil.get(bytesKey(validator.publicKey)) ?? null,
      })),
    },
    next: validatorSetView(next),
    proposals: openProposalsJson(state),
  };
}

export function paramsView(params: ChainParams) {
  return {
    min_block_interval_ms: params.minBlockIntervalMs,
    max_block_txs: params.maxBlockTxs,
    max_block_bytes: params.maxBlockBytes,
    base_fee_uait: String(params.baseFeeUait),
    fee_per_byte_uait: String(params.feePerByteUait),
    precision_ms: params.precisionMs,
    delay_ms: params.delayMs,
    evidence_max_age_blocks: params.evidenceMaxAgeBlocks,
    change_ttl_blocks: params.changeTtlBlocks,
  };
}

export function consensusView(api: ChainApi) {
  const status = api.consensus();
  const { current } = getSets(api.chain.tip().state);
  return {
    chain_id: api.genesis.chain.chainId,
    ...placeView(status),
    locked_round: status.lockedRound,
    valid_round: status.validRound,
    validators: current.validators.map((validator) => ({
      ...validatorView(validator),
      ...presence(status, bytesKey(validator.publicKey)),
    })),
    reasons: status.reasons,
  };
}

/** A vote is shown as the hash it is for, "nil", or null while none was seen. */
function presence(status: ConsensusStatus, key: string) {
  const vote = (votes: readonly SeenVote[]): string | null => {
    const found = votes.find(({ validator }) => bytesKey(validator) === key);
    if (!found) return null;
    return found.blockId === null ? 'nil' : toHex(found.blockId);
  };
  return {
    reachable: status.reachable.some((validator) => bytesKey(validator) === key),
    prevote: vote(status.prevotes),
    precommit: vote(status.precommits),
  };
}

export function peerView(peer: PeerInfo) {
  return {
    peer_id: peer.peerId,
    addresses: peer.addresses,
    direction: peer.direction,
    score: peer.score,
    height: peer.height,
    validator: peer.validator && toHex(peer.validator),
    name: peer.name,
    agent: peer.agent,
    named: peer.isNamed,
    path: peer.path,
    rtt_ms: peer.rttMs,
    clock_offset_ms: peer.clockOffsetMs,
  };
}

export function refusedPeerView({ peerId, address, ourGenesis, theirGenesis, atMs }: RefusedPeer) {
  return {
    peer_id: peerId,
    address,
    our_genesis: ourGenesis,
    their_genesis: theirGenesis,
    time: new Date(atMs).toISOString(),
  };
}

export function placeView({ height, round, step, proposer }: ConsensusPlace) {
  return { height, round, step, proposer: proposer && toHex(proposer) };
}
