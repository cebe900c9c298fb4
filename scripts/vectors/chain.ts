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
const NAMES = ['alice', 'bob', 'op1', 'op2', 'op3', 'v1', 'v2', 'v3', 'v4'];
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
      feeUait: leastFeeUait(this.genesis.params, MIN_TX_BYTES + bytes.length),
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

  /** Builds the next block as the proposer of that round, certifies it there by all validators, and moves on. */
  block(txs: readonly Transaction[], round = 0) {
    const { current } = getSets(this.#tip.state);
    const applied: AppliedBlock = buildBlock(this.#rules(), this.#tip, {
      timeMs: earliestTimeMs(this.#rules(), this.#tip),
      proposer: proposerOf(current, round).publicKey,
      lastCommit: this.#certificate,
      evidence: [],
      txs,
    });
    const { height, timeMs } = applied.block.header;
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
    transactions: named.map(([name, tx]) => ({
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
    blocks,
  };
}
