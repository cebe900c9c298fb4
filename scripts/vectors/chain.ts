/** A small chain from genesis: what is signed, encoded, hashed and executed in its first blocks. */
import { bytesKey, toHex } from '../../src/bytes.ts';
import { addressOf, formatAddress } from '../../src/chain/address.ts';
import { encodeBlock, encodeHeader } from '../../src/chain/block.ts';
import { createPureSigner, pureCrypto } from '../../src/chain/crypto/pure.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import { duplicateProposal, duplicateVote, encodeEvidence } from '../../src/chain/evidence.ts';
import type { AppliedBlock, Tip } from '../../src/chain/execute.ts';
import { buildBlock, earliestTimeMs } from '../../src/chain/execute.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import { genesisBlockId, genesisState, parseGenesis } from '../../src/chain/genesis.ts';
import { transfer } from '../../src/chain/modules/bank.ts';
import { agreementId } from '../../src/chain/modules/compute/agreement.ts';
import {
  closeAgreement,
  extendAgreement,
  openAgreement,
  topupAgreement,
} from '../../src/chain/modules/compute/agreement-client.ts';
import { releaseAgreement, settleAgreement } from '../../src/chain/modules/compute/agreement-miner.ts';
import { stake, unstake } from '../../src/chain/modules/compute/stake.ts';
import { signVoucher, voucherSignBytes } from '../../src/chain/modules/compute/voucher.ts';
import type { AnyTxType, Json, JsonObject } from '../../src/chain/modules/types.ts';
import { getSets } from '../../src/chain/modules/validators-state.ts';
import { proposeChange, validatorKeySignBytes, voteChange } from '../../src/chain/modules/validators.ts';
import { leastFeeUait } from '../../src/chain/params.ts';
import { encodeReceipt } from '../../src/chain/receipt.ts';
import type { StateKey } from '../../src/chain/state.ts';
import { statePath } from '../../src/chain/state.ts';
import { StateTree } from '../../src/chain/tree.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { MIN_TX_BYTES, signTransaction, txSignBytes } from '../../src/chain/tx.ts';
import { proposerOf } from '../../src/chain/validator-set.ts';
import type { Certificate, Proposal, Vote } from '../../src/chain/votes.ts';
import {
  certificateFromVotes,
  encodeCertificate,
  encodeVote,
  proposalSignBytes,
  voteSignBytes,
} from '../../src/chain/votes.ts';

const seedOf = (name: string): Uint8Array => pureCrypto.hash(new TextEncoder().encode(`aitbc/vectors/${name}`));
const NAMES = ['alice', 'bob', 'op1', 'op2', 'op3', 'v1', 'v2', 'v3', 'v4', 'session'];
const signers = new Map(NAMES.map((name) => [name, createPureSigner(seedOf(name))]));

function signerOf(name: string): Signer {
  return signers.get(name) ?? createPureSigner(seedOf(name));
}

const addressTextOf = (name: string): string => formatAddress(addressOf(pureCrypto, signerOf(name).publicKey));

const GENESIS: Json = {
  version: 1,
  chain_id: 'ait-devnet',
  time_ms: 1_700_000_000_000,
  params: {
    min_block_interval_ms: 500,
    max_block_txs: 10_000,
    max_block_bytes: 2_097_152,
    base_fee_uait: '1000',
    fee_per_byte_uait: '10',
    precision_ms: 500,
    delay_ms: 2000,
    evidence_max_age_blocks: 100_000,
    change_ttl_blocks: 1000,
  },
  modules: {
    bank: {
      accounts: ['alice', 'bob', 'op1', 'op2', 'op3'].map((name) => ({
        address: addressTextOf(name),
        balance_uait: '1000000000',
      })),
    },
    validators: {
      authorities: [1, 2, 3].map((i) => ({
        public_key: toHex(signerOf(`v${i}`).publicKey),
        power: i,
        operator: addressTextOf(`op${i}`),
        name: `n${i}`,
      })),
    },
    compute: {
      min_cap_uait: '10000',
      min_open_fee_uait: '5000',
      max_term_ms: 3_600_000,
      min_stake_uait: '1000000',
      unstake_cooldown_ms: 7_200_000,
      closed_kept_ms: 600_000,
    },
  },
};

/** The chain by itself, held in a map. */
class Chain {
  readonly genesis: Genesis = parseGenesis(pureCrypto, GENESIS);
  readonly #entries = new Map<StateKey, Uint8Array>();
  readonly #tree: StateTree;
  #tip: Tip;
  #certificate: Certificate | null = null;

  constructor() {
    for (const [key, value] of genesisState(pureCrypto, this.genesis)) if (value) this.#entries.set(key, value);
    this.#tree = StateTree.load(
      pureCrypto,
      [...this.#entries].map(([key, value]) => ({
        path: statePath(pureCrypto, key),
        valueHash: pureCrypto.hash(value),
      })),
    );
    this.#tip = {
      height: 0,
      blockId: genesisBlockId(this.genesis),
      timeMs: this.genesis.timeMs,
      state: { get: (key) => this.#entries.get(key) },
      tree: this.#tree,
      version: this.#tree.head,
    };
  }

  get stateRoot(): string {
    return toHex(this.#tip.version.root);
  }

  tx<P>(txType: AnyTxType & { encode(payload: P): Uint8Array }, from: string, nonce: number, payload: P): Transaction {
    const bytes = txType.encode(payload);
    return signTransaction(pureCrypto, this.genesis.chain, signerOf(from), {
      type: txType.type,
      nonce,
      feeUait: Math.max(5_000, leastFeeUait(this.genesis.params, MIN_TX_BYTES + bytes.length)),
      validUntilHeight: 1000,
      payload: bytes,
    });
  }

  vote(name: string, type: Vote['type'], height: number, round: number, blockId: Uint8Array | null): Vote {
    const signer = signerOf(name);
    const core = { type, height, round, blockId };
    return { ...core, validator: signer.publicKey, signature: signer.sign(voteSignBytes(this.genesis.chain, core)) };
  }

  proposal(name: string, height: number, round: number, polRound: number, blockId: Uint8Array): Proposal {
    const signer = signerOf(name);
    const core = { height, round, polRound, blockId };
    return { ...core, proposer: signer.publicKey, signature: signer.sign(proposalSignBytes(this.genesis.chain, core)) };
  }

  /** Of the next block. */
  get earliestMs(): number {
    return earliestTimeMs(this.#rules(), this.#tip);
  }

  /** Builds the next block as the proposer of that round, certifies it there by all validators, and moves on. */
  block(txs: readonly Transaction[], round = 0, timeMs = this.earliestMs) {
    const { current } = getSets(this.#tip.state);
    const applied: AppliedBlock = buildBlock(this.#rules(), this.#tip, {
      timeMs,
      proposer: proposerOf(current, round).publicKey,
      lastCommit: this.#certificate,
      evidence: [],
      txs,
    });
    const { height } = applied.block.header;
    const byKey = new Map([...signers].map(([name, { publicKey }]) => [bytesKey(publicKey), name]));
    const names = current.validators.flatMap(({ publicKey }) => byKey.get(bytesKey(publicKey)) ?? []);
    const votes = names.map((name) => this.vote(name, 'precommit', height, round, applied.blockId));
    this.#certificate = certificateFromVotes(current, votes);
    for (const [key, value] of applied.changes) {
      if (value) this.#entries.set(key, value);
      else this.#entries.delete(key);
    }
    this.#tree.commit(applied.version);
    this.#tip = { ...this.#tip, height, timeMs, blockId: applied.blockId, version: applied.version };
    return {
      height,
      header: toHex(encodeHeader(applied.block.header)),
      blockId: toHex(applied.blockId),
      block: toHex(encodeBlock(applied.block)),
      certificate: toHex(encodeCertificate(this.#certificate)),
      validators: current.validators.map(({ publicKey, power, demoted }) => ({
        publicKey: toHex(publicKey),
        power,
        demoted,
      })),
      receipts: applied.receipts.map((receipt) => toHex(encodeReceipt(receipt))),
      stateRoot: this.stateRoot,
    };
  }

  #rules() {
    return { chain: this.genesis.chain, params: this.genesis.params, crypto: pureCrypto };
  }
}

export function chainVectors(): JsonObject {
  const chain = new Chain();
  const { genesis } = chain;
  const genesisRoot = chain.stateRoot;
  const to = (name: string): Uint8Array => addressOf(pureCrypto, signerOf(name).publicKey);
  const plain = new Uint8Array();
  const proof = signerOf('v4').sign(validatorKeySignBytes(genesis.chain, to('op1')));
  const add = { kind: 'add', publicKey: signerOf('v4').publicKey, operator: to('op1'), name: 'n4', proof } as const;
  const named: [string, Transaction][] = [
    ['transfer', chain.tx(transfer, 'alice', 0, { to: to('bob'), amountUait: 12_345_678, memo: plain })],
    ['transfer with memo', chain.tx(transfer, 'alice', 1, { to: to('op3'), amountUait: 0, memo: seedOf('memo') })],
    [
      'transfer beyond the balance',
      chain.tx(transfer, 'bob', 0, { to: to('alice'), amountUait: 2 ** 53 - 1, memo: plain }),
    ],
    ['proposed validator', chain.tx(proposeChange, 'op2', 0, add)],
    ['vote for it', chain.tx(voteChange, 'op3', 0, { proposal: 1 })],
    ['proposed removal', chain.tx(proposeChange, 'op2', 1, { kind: 'remove', publicKey: signerOf('v1').publicKey })],
  ];
  const txs = named.map(([, tx]) => tx);
  const nothing = (nonce: number): Transaction =>
    chain.tx(transfer, 'op3', nonce, { to: to('op3'), amountUait: 0, memo: plain });
  const blocks = [
    chain.block(txs.slice(0, 3)),
    chain.block(txs.slice(3)),
    chain.block([]),
    chain.block([nothing(1)], 1),
    chain.block([nothing(2)]),
    chain.block([nothing(3)]),
    chain.block([nothing(4)]),
  ];
  const market = marketVectors(chain);
  const id = pureCrypto.hash(plain);
  const votes = [
    chain.vote('v1', 'prevote', 7, 0, id),
    chain.vote('v1', 'prevote', 7, 0, null),
    chain.vote('v1', 'precommit', 7, 3, id),
  ];
  const [first, second] = votes;
  const proposals = [chain.proposal('v2', 7, 1, -1, id), chain.proposal('v2', 7, 1, 0, pureCrypto.hash(id))];
  const [fresh, repeated] = proposals;
  if (!first || !second || !fresh || !repeated) return {};
  return {
    seeds: Object.fromEntries(NAMES.map((name) => [name, toHex(seedOf(name))])),
    genesis: {
      json: GENESIS,
      bytes: toHex(genesis.bytes),
      hash: toHex(genesis.chain.genesisHash),
      stateRoot: genesisRoot,
    },
    transactions: [...named, ...market.named].map(([name, tx]) => ({
      name,
      signBytes: toHex(txSignBytes(genesis.chain, tx)),
      bytes: toHex(tx.bytes),
      id: toHex(tx.id),
    })),
    votes: votes.map((vote) => ({
      signBytes: toHex(voteSignBytes(genesis.chain, vote)),
      bytes: toHex(encodeVote(vote)),
    })),
    proposals: proposals.map((proposal) => ({
      signBytes: toHex(proposalSignBytes(genesis.chain, proposal)),
      signature: toHex(proposal.signature),
    })),
    validatorKey: { signBytes: toHex(validatorKeySignBytes(genesis.chain, to('op1'))), proof: toHex(proof) },
    evidence: [duplicateVote(first, second), duplicateProposal(fresh, repeated)].map((item) =>
      toHex(encodeEvidence(item)),
    ),
    agreement: market.agreement,
    voucher: market.voucher,
    blocks: [...blocks, ...market.blocks],
  };
}

/** One agreement is settled and released, one is closed by its client, one comes to its expiry. */
function marketVectors(chain: Chain) {
  const { genesis } = chain;
  const client = addressOf(pureCrypto, signerOf('alice').publicKey);
  const miner = addressOf(pureCrypto, signerOf('bob').publicKey);
  const signer = signerOf('session').publicKey;
  const expiresAtMs = chain.earliestMs + 60_000;
  const open = { signer, miner, capUait: 5_000_000, expiresAtMs };
  const opened = 2;
  const idOf = (nonce: number): Uint8Array => agreementId(pureCrypto, genesis.chain, client, nonce);
  const agreement = idOf(opened);
  const receiptsRoot = pureCrypto.hash(agreement);
  const fields = { agreement, creditUait: 3_000_000, seen: pureCrypto.hash(new Uint8Array()) };
  const voucher = signVoucher(genesis.chain, signerOf('session'), fields);
  const released = { agreement, receiptsRoot, taking: { totalUait: 2_500_000, voucher } };
  const named: [string, Transaction][] = [
    ['stake', chain.tx(stake, 'bob', 1, { amountUait: 2_000_000 })],
    ['opened agreement', chain.tx(openAgreement, 'alice', opened, open)],
    ['another one', chain.tx(openAgreement, 'alice', opened + 1, { ...open, capUait: 10_000 })],
    ['and one left alone', chain.tx(openAgreement, 'alice', opened + 2, { ...open, capUait: 10_000 })],
    ['top-up', chain.tx(topupAgreement, 'alice', opened + 3, { agreement, amountUait: 1_000_000 })],
    ['extension', chain.tx(extendAgreement, 'alice', opened + 4, { agreement, expiresAtMs: expiresAtMs + 60_001 })],
    ['close', chain.tx(closeAgreement, 'alice', opened + 5, { agreement: idOf(opened + 1) })],
    [
      'settlement',
      chain.tx(settleAgreement, 'bob', 2, {
        agreement,
        receiptsRoot: new Uint8Array(32),
        totalUait: 2_000_000,
        voucher,
      }),
    ],
    [
      'settlement above the voucher',
      chain.tx(settleAgreement, 'bob', 3, { agreement, receiptsRoot, totalUait: 3_000_001, voucher }),
    ],
    ['release', chain.tx(releaseAgreement, 'bob', 4, released)],
    ['release again, without a voucher', chain.tx(releaseAgreement, 'bob', 5, { ...released, taking: null })],
    ['unstake', chain.tx(unstake, 'bob', 6, { amountUait: 1_000_000 })],
  ];
  const txs = named.map(([, tx]) => tx);
  const dueMs = Math.ceil(expiresAtMs / 60_000) * 60_000;
  const blocks = [chain.block(txs.slice(0, 4)), chain.block(txs.slice(4)), chain.block([], 0, dueMs)];
  return {
    named,
    blocks,
    agreement: { client: toHex(client), nonce: opened, id: toHex(agreement) },
    voucher: {
      agreement: toHex(agreement),
      creditUait: String(voucher.creditUait),
      seen: toHex(voucher.seen),
      signBytes: toHex(voucherSignBytes(genesis.chain, voucher)),
      signer: toHex(voucher.signer),
      signature: toHex(voucher.signature),
    },
  };
}
