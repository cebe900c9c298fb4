/**
 * Clients of a run: transfers through random nodes, sent again until final; a market between two; and operators who change
 * the validator set.
 */
import { bytesKey, equalBytes } from '../../src/bytes.ts';
import { addressOf } from '../../src/chain/address.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import { transfer } from '../../src/chain/modules/bank.ts';
import type { Change } from '../../src/chain/modules/validators-state.ts';
import {
  getKeyRecord,
  getOpenProposals,
  getProposal,
  getQueue,
  getSets,
} from '../../src/chain/modules/validators-state.ts';
import { proposeChange, validatorKeySignBytes, voteChange } from '../../src/chain/modules/validators.ts';
import { leastFeeUait } from '../../src/chain/params.ts';
import { findValidator } from '../../src/chain/validator-set.ts';
import type { StateReader } from '../../src/chain/state.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { decodeTransaction, MIN_TX_BYTES, signTransaction } from '../../src/chain/tx.ts';
import type { RunningChain } from '../../src/chains.ts';
import type { Checker } from './checker.ts';
import type { Trader } from './market.ts';
import { Market, TRADE_FEE_UAIT, TRADERS } from './market.ts';
import type { SimNode } from './node.ts';
import type { Plan } from './plan.ts';
import type { Prng } from './prng.ts';
import { simCrypto, simSigner } from './signatures.ts';
import type { VirtualTime } from './time.ts';

const TRANSFERRING = 4;
/** Who transfers, and the two of the market. */
export const ACCOUNTS = TRANSFERRING + 2;
const MAX_PENDING = 6;
const MAX_TRADES = 2;
/** Once a second, so that agreements see several before they expire. */
const TRADE_MS = 1_000;
const RESEND_MS = 2_000;
const GOVERN_MS = 3_000;
/** More than anyone has. */
const TOO_MUCH_UAIT = 2_000_000_000;

interface Client {
  readonly name: string;
  readonly address: Uint8Array;
  readonly pending: Transaction[];
}

export interface LoadModules {
  readonly plan: Plan;
  readonly genesis: Genesis;
  readonly time: VirtualTime;
  readonly nodes: readonly SimNode[];
  readonly checker: Checker;
  readonly rng: Prng;
  /** Set changes wait. */
  readonly frozen: () => boolean;
}

export class Load {
  readonly #modules: LoadModules;
  /** Of a quiet run that froze: who alone hears of a transaction. */
  #only: SimNode | null = null;
  readonly #clients: Client[];
  readonly #operators: Client[];
  readonly #traders: Readonly<Record<Trader, Client>>;
  readonly #market: Market;
  readonly #marketRng: Prng;

  constructor(modules: LoadModules) {
    this.#modules = modules;
    this.#clients = Array.from({ length: TRANSFERRING }, (_, i) => clientOf(`account-${i}`));
    this.#traders = { client: clientOf(TRADERS.client), miner: clientOf(TRADERS.miner) };
    this.#marketRng = modules.rng.stream('market');
    this.#market = new Market(modules.genesis.chain, this.#marketRng);
    const authorities = modules.plan.powers.filter((power) => power > 0).length;
    this.#operators = Array.from({ length: authorities }, (_, i) => clientOf(`operator-${i}`));
  }

  start(): void {
    this.#send();
    this.#resend();
    if (this.#modules.plan.setChanges) this.#govern();
    // A deadline would be work that a quiet run has not.
    if (!this.#modules.plan.quiet) this.#trade();
  }

  #send(): void {
    const { plan, rng, time } = this.#modules;
    time.after(rng.between(0, 2 * plan.txEveryMs), () => {
      if (!this.#isQuiet()) this.#sendTo(rng.pick(this.#modules.nodes));
      this.#send();
    });
  }

  /** Others are healthy now than the last time. */
  onFreeze(): void {
    this.#only = null;
  }

  /** There shall be work while the faults are frozen. */
  sendOne(node: SimNode): void {
    if (this.#isQuiet()) {
      this.#tellOnly(node);
      return;
    }
    this.#sendTo(node);
    // What was lost with others would leave gaps of nonces, and nothing to execute.
    for (const { pending } of this.#clients) for (const tx of pending) this.#submit(node, tx);
  }

  #isQuiet(): boolean {
    const { plan, frozen } = this.#modules;
    return plan.quiet && frozen();
  }

  /** As if someone who is gone had gossiped it to one validator alone: it knows no one it owes it to, nor says it again. */
  #tellOnly(node: SimNode): void {
    const { chain } = node;
    const owesBlocks = chain !== null && findValidator(getSets(chain.ledger.tip.state).current, node.publicKey);
    // Who signs nothing can wake nobody, no more than a follower can.
    if (!owesBlocks || node.sitsOut(chain.ledger.tip.height + 1)) {
      // It was one until it had caught up.
      if (node === this.#only) this.#only = null;
      return;
    }
    this.#only ??= node;
    // One beyond a nonce that was lost with a crash is no work: only what a block could hold is.
    if (node !== this.#only || chain.pool.hasExecutable(chain.admission.view())) return;
    const client = this.#modules.rng.pick(this.#clients);
    this.#settle(client);
    if (client.pending.length === 0) client.pending.push(this.#transfer(client, 1));
    chain.handlers.gossip
      .tx({ attempt: 0, origin: 'peer-gone', txs: client.pending }, 'peer-gone')
      .catch((error: unknown) => {
        this.#modules.checker.fail(`admission: node ${node.index}: ${String(error)}`);
      });
  }

  /** A new transfer of a random client, given to this node. */
  #sendTo(node: SimNode): void {
    const { rng } = this.#modules;
    const client = rng.pick(this.#clients);
    this.#settle(client);
    if (client.pending.length >= MAX_PENDING) return;
    if (rng.chance(0.02)) this.#submit(node, this.#transfer(client, TOO_MUCH_UAIT));
    const tx = this.#transfer(client, rng.below(1000));
    client.pending.push(tx);
    this.#submit(node, tx);
    if (rng.chance(0.02)) this.#submit(node, forged(tx));
  }

  #transfer(client: Client, amountUait: number): Transaction {
    const to = this.#modules.rng.pick(this.#clients).address;
    return this.#make(client, transfer.type, transfer.encode({ to, amountUait, memo: new Uint8Array() }));
  }

  #resend(): void {
    const { time, rng, nodes } = this.#modules;
    time.after(RESEND_MS, () => {
      if (this.#isQuiet()) {
        this.#resend();
        return;
      }
      for (const client of [...this.#clients, ...this.#operators, ...Object.values(this.#traders)]) {
        this.#settle(client);
        const node = rng.pick(nodes);
        for (const tx of client.pending) this.#submit(node, tx);
      }
      this.#resend();
    });
  }

  /** Forgets what is final. */
  #settle(client: Client): void {
    const nonce = this.#modules.checker.nonceOf(client.address);
    while ((client.pending[0]?.nonce ?? Infinity) < nonce) client.pending.shift();
  }

  #make(client: Client, type: number, payload: Uint8Array, leastFee = 0): Transaction {
    const { genesis } = this.#modules;
    const nonce = this.#nextNonce(client);
    return signTransaction(simCrypto, genesis.chain, simSigner(client.name), {
      type,
      nonce,
      feeUait: Math.max(leastFee, leastFeeUait(genesis.params, MIN_TX_BYTES + payload.length)),
      validUntilHeight: 1_000_000,
      payload,
    });
  }

  #nextNonce({ pending, address }: Client): number {
    return (pending.at(-1)?.nonce ?? this.#modules.checker.nonceOf(address) - 1) + 1;
  }

  #submit(node: SimNode, tx: Transaction): void {
    const { chain } = node;
    chain?.admission.submit([tx], 'client').catch((error: unknown) => {
      this.#modules.checker.fail(`admission: node ${node.index}: ${String(error)}`);
    });
  }

  // Market

  #trade(): void {
    const { time, nodes } = this.#modules;
    time.after(this.#marketRng.between(0, 2 * TRADE_MS), () => {
      const node = this.#marketRng.pick(nodes);
      if (node.chain) this.#tradeAt(node, node.chain.ledger.tip);
      this.#trade();
    });
  }

  #tradeAt(node: SimNode, { state, timeMs }: RunningChain['ledger']['tip']): void {
    for (const trader of Object.values(this.#traders)) this.#settle(trader);
    if (Object.values(this.#traders).some(({ pending }) => pending.length >= MAX_TRADES)) return;
    const overpaid = this.#market.overpaid(state);
    if (overpaid !== null) this.#modules.checker.fail(`market: node ${node.index}: ${overpaid}`);
    const trade = this.#market.next(state, timeMs, (trader) => this.#nextNonce(this.#traders[trader]));
    if (!trade) return;
    const trader = this.#traders[trade.by];
    const tx = this.#make(trader, trade.type, trade.payload, TRADE_FEE_UAIT);
    if (!trade.isForged) trader.pending.push(tx);
    this.#submit(node, tx);
  }

  // Operators

  #govern(): void {
    const { time, rng, nodes, frozen } = this.#modules;
    time.after(rng.between(0, 2 * GOVERN_MS), () => {
      const chain = rng.pick(nodes).chain;
      if (chain && !frozen()) {
        if (this.isSettled(chain.ledger.tip.state)) this.#propose(chain);
        else this.#voteOn(chain);
      }
      this.#govern();
    });
  }

  /** No change is open, queued or not yet in force, and none is on its way to a block. */
  isSettled(state: StateReader): boolean {
    for (const operator of this.#operators) this.#settle(operator);
    return (
      getOpenProposals(state).length === 0 &&
      getQueue(state).length === 0 &&
      this.#operators.every(({ pending }) => pending.length === 0)
    );
  }

  #operate(client: Client, type: number, payload: Uint8Array): void {
    this.#settle(client);
    if (client.pending.length > 0) return;
    const tx = this.#make(client, type, payload);
    client.pending.push(tx);
    this.#submit(this.#modules.rng.pick(this.#modules.nodes), tx);
  }

  #propose(chain: RunningChain): void {
    const { rng } = this.#modules;
    const change = this.#change(chain);
    if (change) this.#operate(rng.pick(this.#operators), proposeChange.type, proposeChange.encode(change));
  }

  #voteOn(chain: RunningChain): void {
    const { state } = chain.ledger.tip;
    for (const id of getOpenProposals(state)) {
      const voters = new Set((getProposal(state, id)?.votes ?? []).map(bytesKey));
      for (const operator of this.#operators) {
        if (!voters.has(bytesKey(operator.address))) {
          this.#operate(operator, voteChange.type, voteChange.encode({ proposal: id }));
        }
      }
    }
  }

  /** One that leaves the traitors below a third. */
  #change(chain: RunningChain): Change | null {
    const { nodes, rng, genesis } = this.#modules;
    const { next } = getSets(chain.ledger.tip.state);
    const node = rng.pick(nodes);
    const member = next.validators.find(({ publicKey }) => equalBytes(publicKey, node.publicKey));
    if (!member) {
      if (getKeyRecord(chain.ledger.tip.state, node.publicKey)) return null;
      const operator = rng.pick(this.#operators).address;
      const proof = simSigner(node.name).sign(validatorKeySignBytes(genesis.chain, operator));
      return { kind: 'add', publicKey: node.publicKey, operator, name: `n${node.index}`, proof };
    }
    const traitors = nodes.filter(({ isTraitor }) => isTraitor);
    const power = next.validators
      .filter(({ publicKey }) => traitors.some((traitor) => equalBytes(traitor.publicKey, publicKey)))
      .reduce((sum, validator) => sum + validator.power, 0);
    const isSafe = node.isTraitor || 3 * power < next.totalPower - member.power;
    return isSafe && next.validators.length > 1 ? { kind: 'remove', publicKey: node.publicKey } : null;
  }
}

/** The signature is the end of the bytes. */
function forged({ bytes }: Transaction): Transaction {
  const wrong = bytes.slice();
  wrong[wrong.length - 40] = (wrong[wrong.length - 40] ?? 0) ^ 1;
  return decodeTransaction(simCrypto, wrong);
}

function clientOf(name: string): Client {
  return { name, address: addressOf(simCrypto, simSigner(name).publicKey), pending: [] };
}
