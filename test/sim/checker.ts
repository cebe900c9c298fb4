/** What must hold in every run, whatever fails: checked at every publication and every commit. */
import { createHash } from 'node:crypto';
import type { Topic, Topics } from '../../protocols/messages.ts';
import { bytesKey, equalBytes, keyBytes, toHex } from '../../src/bytes.ts';
import type { Account } from '../../src/chain/accounts.ts';
import { decodeAccount, EMPTY_ACCOUNT, accountKey, isAccountKey } from '../../src/chain/accounts.ts';
import type { Evidence } from '../../src/chain/evidence.ts';
import { evidenceOffender } from '../../src/chain/evidence.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import { genesisBlockId, genesisState } from '../../src/chain/genesis.ts';
import type { Agreement } from '../../src/chain/modules/compute/agreement.ts';
import { decodeAgreement } from '../../src/chain/modules/compute/agreement.ts';
import { isAgreementKey, isStakeKey } from '../../src/chain/modules/compute/keys.ts';
import { decodeStake } from '../../src/chain/modules/compute/stake.ts';
import { getSets } from '../../src/chain/modules/validators-state.ts';
import type { StateChanges, StateKey } from '../../src/chain/state.ts';
import { memoryState } from '../../src/chain/state.ts';
import type { ValidatorSet } from '../../src/chain/validator-set.ts';
import { proposerOf } from '../../src/chain/validator-set.ts';
import type { RunningChain } from '../../src/chains.ts';
import type { CommittedBlock } from '../../src/store/types.ts';
import { certificateFault } from './certificates.ts';
import type { Electorate, Signed } from './rules.ts';
import { AgreementRules, readSignBytes } from './rules.ts';
import { simCrypto } from './signatures.ts';

/** The rounds kept of one height and what may be pinned beside them, for both types, with contradicting votes. */
const MAX_VOTES_A_VALIDATOR = 2 * (32 + 8 + 16) * 3;

interface Agreed {
  readonly blockId: Uint8Array;
  readonly timeMs: number;
  /** Of the first certificate. */
  readonly round: number;
  readonly changes: string;
}

export class Checker {
  readonly violations: string[] = [];
  setChanges = 0;
  /** Heights at which some validator is demoted. */
  demotions = 0;
  evidence = 0;
  transactions = 0;
  /** Of agreements, by what they came to. */
  readonly market = new Map<string, number>();
  /** Heights whose block was decided in more than one round. */
  readonly splitHeights = new Set<number>();
  readonly #genesis: Genesis;
  readonly #isTraitor: (publicKey: Uint8Array) => boolean;
  readonly #agreed: Agreed[];
  /** By height: who certifies it. */
  readonly #sets: ValidatorSet[];
  readonly #accounts = new Map<StateKey, Account>();
  readonly #agreements = new Map<StateKey, Agreement>();
  readonly #stakesUait = new Map<StateKey, number>();
  readonly #signed = new Map<string, string>();
  readonly #heights = new Map<number, number>();
  readonly #rules = new AgreementRules();
  /** By key: height of the block that convicts it. */
  readonly #convicted = new Map<string, number>();
  readonly #electorates = new Map<number, Electorate>();
  #suppliedUait = 0;

  constructor(genesis: Genesis, isTraitor: (publicKey: Uint8Array) => boolean) {
    const state = genesisState(simCrypto, genesis);
    const { current } = getSets(memoryState(state));
    this.#genesis = genesis;
    this.#isTraitor = isTraitor;
    this.#agreed = [{ blockId: genesisBlockId(genesis), timeMs: genesis.timeMs, round: 0, changes: '' }];
    this.#sets = [current, current];
    this.#takeAccounts(state);
    this.#suppliedUait = this.#heldUait();
  }

  get height(): number {
    return this.#agreed.length - 1;
  }

  fail(message: string): void {
    this.violations.push(message);
  }

  /** Of the agreed state. */
  nonceOf(address: Uint8Array): number {
    return (this.#accounts.get(accountKey(address)) ?? EMPTY_ACCOUNT).nonce;
  }

  /** Of the last agreed header. */
  get timeMs(): number {
    return this.#agreed[this.height]?.timeMs ?? 0;
  }

  // Commits

  onCommit(node: number, blocks: readonly CommittedBlock[]): void {
    for (const committed of blocks) this.#checkCommit(node, committed);
  }

  #checkCommit(node: number, { block, blockId, certificate, changes, receipts }: CommittedBlock): void {
    const { height, parent, timeMs } = block.header;
    const expected = (this.#heights.get(node) ?? 0) + 1;
    const where = `node ${node}, height ${height}`;
    if (height !== expected) this.fail(`heights: ${where} is committed where ${expected} was next`);
    this.#heights.set(node, height);
    const set = this.#sets[height];
    if (!set) {
      this.fail(`heights: ${where} skips heights that nobody committed`);
      return;
    }
    const fault = certificateFault(this.#genesis.chain, set.validators, certificate, height, blockId);
    if (fault !== null) this.fail(`validity: ${where}: certificate ${fault}`);
    const digest = digestOf(changes);
    const agreed = this.#agreed[height];
    if (agreed) {
      if (!equalBytes(agreed.blockId, blockId)) {
        this.fail(`agreement: ${where} is ${short(blockId)} here and ${short(agreed.blockId)} elsewhere`);
      } else if (agreed.changes !== digest) this.fail(`roots: ${where}: the state differs between nodes`);
      if (agreed.round !== certificate.round) this.splitHeights.add(height);
      return;
    }
    const before = this.#agreed[height - 1];
    if (before && !equalBytes(before.blockId, parent))
      this.fail(`agreement: ${where} does not follow the agreed parent`);
    if (before && timeMs < before.timeMs) this.fail(`time: ${where} is earlier than its parent`);
    this.#agreed[height] = { blockId, timeMs, round: certificate.round, changes: digest };
    const sets = getSets({ get: (key) => changes.get(key) });
    this.#sets[height + 1] = sets.current;
    if (membersOf(sets.current) !== membersOf(set)) this.setChanges++;
    if (sets.current.validators.some(({ demoted }) => demoted)) this.demotions++;
    this.transactions += block.txs.length;
    for (const item of block.evidence) {
      this.#checkEvidence(item, where);
      this.#convicted.set(bytesKey(evidenceOffender(item)), height);
    }
    this.#checkAccounts(where, committedSenders(block.txs), changes);
    this.#checkMarket(where, changes);
    this.#suppliedUait -= receipts.reduce((sum, { feeUait }) => sum + feeUait, 0);
    if (this.#heldUait() !== this.#suppliedUait) {
      this.fail(`supply: ${where}: accounts and escrow hold ${this.#heldUait()}, ${this.#suppliedUait} exist`);
    }
  }

  #checkEvidence(evidence: Evidence, where: string): void {
    this.evidence++;
    const offender = evidenceOffender(evidence);
    if (!this.#isTraitor(offender)) this.fail(`evidence: ${where}: honest ${short(offender)} is convicted`);
  }

  #checkAccounts(where: string, senders: Map<StateKey, number>, changes: StateChanges): void {
    const before = new Map(this.#accounts);
    this.#takeAccounts(changes);
    for (const [key, account] of this.#accounts) {
      const expected = (before.get(key) ?? EMPTY_ACCOUNT).nonce + (senders.get(key) ?? 0);
      if (account.nonce !== expected) {
        this.fail(`nonces: ${where}: ${toHex(keyBytes(key))} has ${account.nonce}, expected ${expected}`);
      }
    }
  }

  /** Agreements only move on, pay only more, and hold what is neither paid nor refunded. */
  #checkMarket(where: string, changes: StateChanges): void {
    for (const [key, value] of changes) {
      if (isStakeKey(key)) {
        const { stakedUait, coolingUait } = value ? decodeStake(value) : { stakedUait: 0, coolingUait: 0 };
        this.#stakesUait.set(key, stakedUait + coolingUait);
      }
      if (!isAgreementKey(key)) continue;
      const before = this.#agreements.get(key);
      const after = value && decodeAgreement(value);
      const fault = transitionFault(before, after);
      if (fault !== null) this.fail(`market: ${where}: ${toHex(keyBytes(key))} ${fault}`);
      if (after) this.#agreements.set(key, after);
      else this.#agreements.delete(key);
      if (after) this.#countMarket(before, after);
    }
  }

  #countMarket(before: Agreement | undefined, { state, paidUait }: Agreement): void {
    const names = [
      ...(before?.state.name === state.name ? [] : [`agreement ${state.name}`]),
      ...(paidUait > (before?.paidUait ?? 0) ? ['agreement paid'] : []),
    ];
    for (const name of names) this.market.set(name, (this.market.get(name) ?? 0) + 1);
  }

  #takeAccounts(changes: StateChanges): void {
    for (const [key, value] of changes) {
      if (isAccountKey(key) && value) this.#accounts.set(key, decodeAccount(value));
    }
  }

  #heldUait(): number {
    let held = 0;
    for (const { balanceUait } of this.#accounts.values()) held += balanceUait;
    for (const stakedUait of this.#stakesUait.values()) held += stakedUait;
    for (const { capUait, paidUait, state } of this.#agreements.values()) {
      if (state.name !== 'closed') held += capUait - paidUait;
    }
    return held;
  }

  // Restarts

  /** A node that comes back has what it had on its disk. */
  onOpen(node: number, chain: RunningChain): void {
    const { height, blockId } = chain.ledger.tip;
    const known = this.#heights.get(node) ?? 0;
    if (height !== known) this.fail(`heights: node ${node} had ${known} on its disk and opens at ${height}`);
    const agreed = this.#agreed[height];
    if (agreed && !equalBytes(agreed.blockId, blockId)) this.fail(`agreement: node ${node} opens on another block`);
  }

  /** Its disk holds this height again; what it signed above, the folder does not know. */
  onRestore(node: number, key: Uint8Array, height: number): void {
    this.#rules.onForgotten(bytesKey(key), (this.#heights.get(node) ?? 0) + 1);
    this.#heights.set(node, height);
  }

  // Publications of honest nodes

  onPublish(node: number, key: Uint8Array, topic: Topic, message: Topics[Topic]): void {
    if (topic === 'vote') {
      for (const vote of (message as Topics['vote']).votes) {
        if (!equalBytes(vote.validator, key)) continue;
        this.#checkSigned(node, key, { ...vote, kind: vote.type, polRound: -1, blockId: hexOf(vote.blockId) });
      }
    } else if (topic === 'proposal') {
      const { proposal } = message as Topics['proposal'];
      if (!equalBytes(proposal.proposer, key)) return;
      this.#checkSigned(node, key, { ...proposal, kind: 'proposal', blockId: hexOf(proposal.blockId) });
    } else if (topic === 'evidence') {
      const offender = evidenceOffender(message as Topics['evidence']);
      if (!this.#isTraitor(offender)) this.fail(`evidence: node ${node} accuses honest ${short(offender)}`);
    }
  }

  /**
   * The program of a node made a signature, whether or not it ever leaves; a traitor's too, which is as honest as any, and
   * signs no more once it holds the block that convicts its key.
   *
   * @returns whether it is of a vote or proposal
   */
  onSign(node: number, key: Uint8Array, message: Uint8Array): boolean {
    const signed = readSignBytes(message);
    const convictedAt = this.#convicted.get(bytesKey(key)) ?? Infinity;
    if (signed && signed.height > convictedAt && (this.#heights.get(node) ?? 0) >= convictedAt) {
      this.fail(`convicted: node ${node} signs above height ${convictedAt}`);
    }
    if (signed) this.#rules.onSigned(bytesKey(key), signed, !this.#isTraitor(key));
    return signed !== null;
  }

  /** A traitor made this block so that nobody can find it valid. */
  onInvalid(blockId: Uint8Array): void {
    this.#rules.onInvalid(toHex(blockId));
  }

  /** A node found a block invalid, by execution. @param blockId hex */
  onRefuted(node: number, blockId: string): void {
    if (this.#rules.isHonest(blockId))
      this.fail(`validity: node ${node} refuses an honest block, ${blockId.slice(0, 8)}`);
  }

  #checkSigned(node: number, key: Uint8Array, signed: Signed): void {
    const { height, blockId } = signed;
    const slot = `${signed.kind} ${height}/${signed.round}`;
    const durable = this.#heights.get(node) ?? 0;
    if (height > durable + 1) this.fail(`guard: node ${node} signs ${slot} with block ${durable} on its disk`);
    const name = `${bytesKey(key)} ${slot}`;
    const what = blockId ?? 'nil';
    const known = this.#signed.get(name);
    if (known !== undefined && known !== what) {
      this.fail(`double sign: node ${node} signs ${slot} for ${what.slice(0, 8)} after ${known.slice(0, 8)}`);
    }
    this.#signed.set(name, what);
    const electorate = this.#electorate(height);
    if (known !== undefined || !electorate) return;
    const fault = this.#rules.judge(bytesKey(key), signed, electorate);
    if (fault !== null) this.fail(`rules: node ${node}: ${slot} for ${what.slice(0, 8)}: ${fault}`);
  }

  #electorate(height: number): Electorate | null {
    const known = this.#electorates.get(height);
    if (known) return known;
    const set = this.#sets[height];
    if (!set) return null;
    const members = set.validators.map(({ publicKey, power }) => {
      return { key: bytesKey(publicKey), power, isTraitor: this.#isTraitor(publicKey) };
    });
    const electorate = { members, proposer: (round: number) => bytesKey(proposerOf(set, round).publicKey) };
    this.#electorates.set(height, electorate);
    return electorate;
  }

  // Memory

  checkBounds(node: number, chain: RunningChain, maxTxs: number): void {
    const { machine } = chain.engine;
    const votes = machine.votes.all().length;
    const bound = machine.validators.validators.length * MAX_VOTES_A_VALIDATOR;
    if (votes > bound) this.fail(`bounds: node ${node} keeps ${votes} votes`);
    if (chain.pool.size > maxTxs) this.fail(`bounds: node ${node} has ${chain.pool.size} transactions pending`);
  }
}

function committedSenders(txs: readonly { readonly senderAddress: Uint8Array }[]): Map<StateKey, number> {
  const counts = new Map<StateKey, number>();
  for (const { senderAddress } of txs) {
    const key = accountKey(senderAddress);
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

function digestOf(changes: StateChanges): string {
  const digest = createHash('sha256');
  for (const [key, value] of [...changes].sort(([a], [b]) => (a < b ? -1 : 1))) {
    digest
      .update(key, 'latin1')
      .update(value ?? '-')
      .update('\n');
  }
  return digest.digest('base64');
}

function membersOf(set: ValidatorSet): string {
  return set.validators.map(({ publicKey, power }) => `${toHex(publicKey)} ${power}`).join();
}

function hexOf(bytes: Uint8Array | null): string | null {
  return bytes && toHex(bytes);
}

export function short(bytes: Uint8Array | null): string {
  return bytes ? toHex(bytes).slice(0, 8) : 'nil';
}

const STEPS = ['open', 'closing', 'closed'];

/** What an agreement may not do from one block to the next; null when it does nothing wrong. */
function transitionFault(before: Agreement | undefined, after: Agreement | undefined): string | null {
  if (!after) return before?.state.name === 'closed' ? null : 'is gone before it closed';
  const { capUait, paidUait, state } = after;
  if (paidUait > capUait) return `paid ${paidUait} of ${capUait}`;
  if (state.name === 'closed' && state.refundedUait !== capUait - paidUait) return 'was not refunded what was left';
  if (!before) return null;
  if (before.state.name === 'closed') return 'changes after it closed';
  if (STEPS.indexOf(state.name) < STEPS.indexOf(before.state.name)) return 'goes back';
  return paidUait < before.paidUait || capUait < before.capUait ? 'pays less than before' : null;
}
