/** A miner by script: honest, unless told otherwise. Its count of money is its own, and it trusts no client. */
import assert from 'node:assert/strict';
import type { Address, Hash } from '../../../../src/bytes.ts';
import { bytesKey, concatBytes, equalBytes } from '../../../../src/bytes.ts';
import { addressOf } from '../../../../src/chain/address.ts';
import type { Signer } from '../../../../src/chain/crypto/types.ts';
import type { SignedAssignment } from '../../../../src/chain/market/assignment.ts';
import { assignmentCheck } from '../../../../src/chain/market/assignment.ts';
import type { SignedJob } from '../../../../src/chain/market/job.ts';
import { attemptId, jobId } from '../../../../src/chain/market/job.ts';
import type { SignedOffer } from '../../../../src/chain/market/offer.ts';
import { signOffer } from '../../../../src/chain/market/offer.ts';
import type { Price } from '../../../../src/chain/market/price.ts';
import { dueUait } from '../../../../src/chain/market/price.ts';
import type { Quote, SignedQuote } from '../../../../src/chain/market/quote.ts';
import {
  decodeQuoteRequest,
  encodeQuote,
  quoteId,
  quoteRequestHash,
  signQuote,
} from '../../../../src/chain/market/quote.ts';
import type { SignedReceipt, WorkReceipt } from '../../../../src/chain/market/receipt.ts';
import { acknowledgementCheck, receiptId, signReceipt } from '../../../../src/chain/market/receipt.ts';
import type { Tick } from '../../../../src/chain/market/tick.ts';
import { nextLink, signTick } from '../../../../src/chain/market/tick.ts';
import type { Voucher } from '../../../../src/chain/modules/compute/voucher.ts';
import { voucherCheck } from '../../../../src/chain/modules/compute/voucher.ts';
import type { MinerStream } from '../../../../src/compute/coordinator/ports.ts';
import type { ErrorCode } from '../../../../src/errors.ts';
import { NodeError } from '../../../../src/errors.ts';
import { createNativeSigner, nativeCrypto } from '../../../../src/native/crypto.ts';
import type { ClientFrame, MinerFrame } from '../../../../protocols/market/work-frames.ts';
import { decodeClientFrame, encodeMinerFrame } from '../../../../protocols/market/work-frames.ts';
import { acceptWorkChannel } from '../../../../protocols/market/work-channel.ts';
import type { WorkStream } from '../../../../protocols/market/work-stream.ts';
import { CHAIN, plainSealing } from './fixtures.ts';

export interface Script {
  readonly pieces?: readonly string[];
  readonly price?: Partial<Price>;
  readonly offeredPrice?: Partial<Price>;
  readonly tickUait?: number;
  readonly streams?: boolean;
  readonly model?: string;
  readonly slots?: number;
  /** Asked for a quote. */
  readonly decline?: { readonly code: ErrorCode; readonly afterMs?: number; times: number };
  /** Agreements that were closed: no quote within them. */
  readonly closed?: readonly Hash[];
  readonly refuse?: { readonly code: ErrorCode; readonly afterMs: number; times: number };
  readonly words?: string;
  readonly fail?: { readonly code: ErrorCode; times: number };
  /** After so many pieces nothing comes any more. */
  silentAfter?: number;
  /** After so many pieces the stream breaks, once. */
  breakAfter?: number;
  readonly changeQuote?: (quote: Omit<Quote, 'miner'>) => Omit<Quote, 'miner'>;
  readonly changeOutput?: (frame: MinerFrame & { type: 'output' }) => MinerFrame;
  readonly changeTick?: (tick: Tick) => Tick;
  readonly changeReceipt?: (receipt: WorkReceipt) => WorkReceipt;
  readonly replay?: boolean;
  /** Of what the miner sends, on its way. */
  changeRecord?: (record: Uint8Array, number: number) => Uint8Array;
  /** Of so many streams it has the key no more. */
  forgetsKeys?: number;
  readonly kind?: string;
  readonly digest?: Uint8Array;
  /** Does not wait for credit. */
  readonly greedy?: boolean;
  readonly endless?: boolean;
  /** Does not end when it is stopped. */
  readonly deaf?: boolean;
  readonly neverDone?: boolean;
  /** Sends the same tick again and again. */
  readonly chatty?: boolean;
}

interface Attempt {
  readonly id: Hash;
  readonly job: SignedJob;
  readonly assignment: SignedAssignment;
  readonly open: Uint8Array;
  readonly agreement: string;
  readonly quote: SignedQuote;
  inputBytes: number;
  sent: Uint8Array[];
  links: Hash[];
  receipt: SignedReceipt | null;
  state: 'input' | 'running' | 'ended' | 'over';
}

interface Account {
  sumUait: number;
  voucherUait: number;
}

export class TestMiner {
  readonly signer: Signer;
  readonly address: Address;
  readonly script: Script;
  stakedUait = 1_000;
  isDown = false;
  quotes = 0;
  started = 0;
  /** Of receipts acknowledged. */
  earnedUait = 0;
  stopped = 0;
  lastReceipt: SignedReceipt | null = null;
  readonly accounts = new Map<string, Account>();
  readonly #quotes = new Map<string, SignedQuote>();
  readonly attempts = new Map<string, Attempt>();
  readonly #streams = new Set<Stream>();

  constructor(seed: number, script: Script = {}) {
    this.signer = createNativeSigner(new Uint8Array(32).fill(seed));
    this.address = addressOf(nativeCrypto, this.signer.publicKey);
    this.script = script;
  }

  get price(): Price {
    return { fixedUait: 10, inputUaitPerKib: 10, outputUaitPerKib: 1_000, ...this.script.price };
  }

  /** The most that vouchers let it take. */
  get takableUait(): number {
    return [...this.accounts.values()].reduce((sum, { voucherUait }) => sum + voucherUait, 0);
  }

  offer(): SignedOffer {
    const { model = 'tiny', streams = true, slots = 4, offeredPrice, kind = 'llm.chat', digest = null } = this.script;
    return signOffer(CHAIN, this.signer, {
      ...{ name: 'm', peer: 'p', addresses: [], sequence: 1, ttlMs: 60_000, slots, free: slots, region: '', gpus: [] },
      models: [
        {
          ...{ kind, model, digest, contextTokens: 0, streams, deterministic: false, warm: true },
          ...{ price: { ...this.price, ...offeredPrice }, bytesPerSecond: 100, tags: [] },
        },
      ],
    });
  }

  async quote(bytes: Uint8Array): Promise<Uint8Array> {
    await Promise.resolve();
    this.quotes++;
    const { request } = decodeQuoteRequest(bytes);
    const { decline, closed = [], tickUait = 50, model = 'tiny', kind = 'llm.chat', digest = null } = this.script;
    if (closed.some((id) => request.agreement !== null && equalBytes(id, request.agreement))) {
      throw new NodeError('NOT_FUNDED', 'no open agreement', { data: { afterMs: 500 } });
    }
    if (decline && decline.times-- > 0) {
      throw new NodeError(decline.code, 'declined', { data: { afterMs: decline.afterMs ?? 0 } });
    }
    const quote = {
      ...{ request: quoteRequestHash(nativeCrypto, CHAIN, request), kind, model, modelDigest: digest },
      ...{ price: this.price, tickUait, sealKey: new Uint8Array(32).fill(5), validUntilMs: 2_000_000 },
      ...{ validUntilHeight: 1_000_000, firstMs: 1 },
    };
    const signed = signQuote(CHAIN, this.signer, this.script.changeQuote?.(quote) ?? quote);
    this.#quotes.set(bytesKey(quoteId(nativeCrypto, CHAIN, signed.quote)), signed);
    return encodeQuote(signed);
  }

  async open(alive: () => void): Promise<MinerStream> {
    await Promise.resolve();
    const stream = new Stream(this, alive);
    this.#streams.add(stream);
    return stream.client;
  }

  breakStreams(): void {
    for (const stream of this.#streams) stream.end();
    this.#streams.clear();
  }

  takeAssign(frame: ClientFrame & { type: 'assign' }): Attempt | { code: ErrorCode; afterMs: number } {
    const { job, assignment: signed, voucher, open } = frame;
    const { assignment } = signed;
    const id = attemptId(nativeCrypto, assignment.job, assignment.attempt);
    assert.deepEqual(assignment.job, jobId(nativeCrypto, CHAIN, job));
    const known = this.attempts.get(bytesKey(id));
    if (known) return known;
    const { refuse } = this.script;
    if (refuse && refuse.times-- > 0) return refuse;
    const quote = this.#quotes.get(bytesKey(assignment.quote));
    assert.ok(quote, 'a quote that it gave');
    assert.ok(verified(assignmentCheck(CHAIN, signed, voucher.signer)));
    const agreement = bytesKey(assignment.agreement);
    const account = this.accounts.get(agreement) ?? { sumUait: 0, voucherUait: 0 };
    this.accounts.set(agreement, account);
    assert.ok(assignment.baseUait >= account.sumUait, 'the base is never below what the miner counts');
    account.sumUait = assignment.baseUait;
    this.takeVoucher(voucher);
    const attempt: Attempt = {
      ...{ id, job, assignment: signed, open, agreement, quote, inputBytes: 0, sent: [], links: [id] },
      ...{ receipt: null, state: 'input' },
    };
    this.attempts.set(bytesKey(id), attempt);
    return attempt;
  }

  takeVoucher(voucher: Voucher): void {
    assert.ok(verified(voucherCheck(CHAIN, voucher)), 'a voucher is signed');
    const account = this.accounts.get(bytesKey(voucher.agreement));
    assert.ok(account, 'a voucher of an agreement that is used');
    assert.ok(voucher.creditUait >= account.voucherUait, 'vouchers only grow');
    account.voucherUait = voucher.creditUait;
  }

  creditOf({ agreement, assignment: { assignment } }: Attempt): number {
    const given = this.accounts.get(agreement)?.voucherUait ?? 0;
    return Math.min(given - assignment.baseUait, assignment.maxUait);
  }
}

class Stream {
  readonly #miner: TestMiner;
  readonly #alive: () => void;
  readonly #toClient: Uint8Array[] = [];
  #wake: (() => void) | null = null;
  #isEnded = false;
  readonly #toMiner: Uint8Array[] = [];
  #wakeMiner: (() => void) | null = null;
  readonly #channel;
  #records = 0;
  #current: Attempt | null = null;
  #isStopped = false;

  constructor(miner: TestMiner, alive: () => void) {
    this.#miner = miner;
    this.#alive = alive;
    const { script, signer } = miner;
    const keysOf = (publicKey: Uint8Array) => {
      if (!script.forgetsKeys) return { publicKey, privateKey: publicKey };
      script.forgetsKeys--;
      return undefined;
    };
    this.#channel = acceptWorkChannel({ chain: CHAIN, sealing: plainSealing, stream: this.#own, signer, keysOf });
    this.#serve().catch(() => {
      this.end();
    });
  }

  readonly #own: WorkStream = {
    send: async (record) => {
      await Promise.resolve();
      if (this.#isEnded) throw new NodeError('UNREACHABLE', 'the stream is closed');
      this.#toClient.push(this.#miner.script.changeRecord?.(record, this.#records++) ?? record);
      this.#wake?.();
      this.#wake = null;
    },
    read: async () => {
      for (;;) {
        if (this.#isEnded) return null;
        const record = this.#toMiner.shift();
        if (record) return record;
        await new Promise<void>((resolve) => {
          this.#wakeMiner = resolve;
        });
      }
    },
    close: () => {
      this.end();
    },
  };

  async #serve(): Promise<void> {
    for (let bytes = await this.#channel.read(); bytes; bytes = await this.#channel.read()) await this.#take(bytes);
  }

  readonly client: MinerStream = {
    send: async (frame) => {
      await Promise.resolve();
      this.#alive();
      if (this.#isEnded) throw new NodeError('UNREACHABLE', 'the stream is closed');
      this.#toMiner.push(frame.slice());
      this.#wakeMiner?.();
      this.#wakeMiner = null;
    },
    read: async () => {
      for (;;) {
        const frame = this.#toClient.shift();
        if (frame) return frame;
        if (this.#isEnded) return null;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    },
    close: () => {
      this.end();
    },
  };

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
    this.#wakeMiner?.();
  }

  async #take(bytes: Uint8Array): Promise<void> {
    const frame = decodeClientFrame(bytes);
    if (!frame || this.#isEnded) return;
    switch (frame.type) {
      case 'assign':
        return this.#assign(frame);
      case 'input':
        return this.#input(frame);
      case 'credit':
        this.#miner.takeVoucher(frame.voucher);
        return this.#go();
      case 'resume':
        return this.#resume(frame);
      case 'stop':
        this.#miner.stopped++;
        this.#isStopped = this.#miner.script.deaf !== true;
        return this.#go();
      case 'acknowledge':
        this.#acknowledged(frame);
        return;
    }
  }

  async #assign(frame: ClientFrame & { type: 'assign' }): Promise<void> {
    const taken = this.#miner.takeAssign(frame);
    this.#isStopped = false;
    if ('code' in taken) {
      const attempt = attemptId(nativeCrypto, frame.assignment.assignment.job, frame.assignment.assignment.attempt);
      this.#send({ type: 'refuse', attempt, code: taken.code, afterMs: taken.afterMs, text: 'refused' });
      return;
    }
    this.#current = taken;
    this.#send({ type: 'accept', attempt: taken.id });
    if (taken.state === 'running' || taken.state === 'ended') await this.#goOn(taken, 0);
  }

  async #input({ attempt, piece }: ClientFrame & { type: 'input' }): Promise<void> {
    const current = this.#current;
    if (!current || !equalBytes(attempt, current.id) || current.state !== 'input') return;
    current.inputBytes += piece.length;
    // Without looking at blobs: none of these miners reads what it is given.
    const isWhole = equalBytes(nativeCrypto.hash(piece), current.job.spec.inputHash);
    if (!isWhole && current.inputBytes < current.job.spec.inputBytes) return;
    current.state = 'running';
    this.#miner.started++;
    this.#send({ type: 'start', attempt, startedAtMs: 1 });
    await this.#go();
  }

  async #resume(frame: ClientFrame & { type: 'resume' }): Promise<void> {
    const current = this.#miner.attempts.get(bytesKey(frame.attempt));
    if (!current || current.state === 'input') {
      this.#send({ type: 'refuse', attempt: frame.attempt, code: 'NOT_FOUND', afterMs: 0, text: 'unknown' });
      return;
    }
    this.#current = current;
    this.#miner.takeVoucher(frame.voucher);
    await this.#goOn(current, frame.chunks);
  }

  async #goOn(current: Attempt, chunks: number): Promise<void> {
    for (const [i, piece] of [...current.sent.entries()].slice(chunks)) this.#output(current, piece, i + 1);
    if (current.receipt) this.#send({ type: 'end', receipt: current.receipt });
    else await this.#go();
  }

  /** As far as credit goes. */
  async #go(): Promise<void> {
    const current = this.#current;
    const { script } = this.#miner;
    if (!current || current.state !== 'running') return;
    if (script.chatty === true) {
      for (let i = 0; i < 1_000; i++) this.#send({ type: 'tick', tick: this.#tick(current) });
      return;
    }
    const pieces = script.pieces ?? ['Vienna', ' is', ' the', ' capital.'];
    for (;;) {
      const at = current.sent.length;
      if (script.silentAfter !== undefined && at >= script.silentAfter) return;
      if (script.breakAfter !== undefined && at >= script.breakAfter) {
        delete script.breakAfter;
        this.#channel.close();
        return;
      }
      const text = pieces[at] ?? (script.endless === true ? pieces[0] : undefined);
      if (text === undefined || this.#isStopped) break;
      const piece = new TextEncoder().encode(text);
      if (!script.greedy && this.#due(current, piece.length) > this.#miner.creditOf(current)) {
        this.#send({ type: 'tick', tick: this.#tick(current) });
        return;
      }
      current.sent.push(piece);
      current.links.push(nextLink(nativeCrypto, current.links.at(-1) ?? current.id, piece));
      this.#output(current, piece, at + 1);
      if (this.#isEnded) return;
      await Promise.resolve();
    }
    this.#end(current);
  }

  #end(current: Attempt): void {
    const { script } = this.#miner;
    if (script.fail && script.fail.times-- > 0) {
      current.state = 'over';
      this.#send({
        type: 'fail',
        tick: this.#tick(current),
        code: script.fail.code,
        text: script.words ?? 'it failed',
      });
      return;
    }
    const { assignment } = current.assignment;
    const { quote } = current.quote;
    const { spec } = current.job;
    const output = concatBytes(current.sent);
    const receipt: WorkReceipt = {
      ...{ job: assignment.job, attempt: assignment.attempt, agreement: assignment.agreement, quote: assignment.quote },
      ...{ client: spec.client, signer: spec.signer, miner: this.#miner.signer.publicKey, kind: quote.kind },
      ...{ model: quote.model, modelDigest: quote.modelDigest, inputHash: spec.inputHash, inputBytes: spec.inputBytes },
      ...{ outputHash: nativeCrypto.hash(output), outputBytes: output.length, chunks: current.sent.length },
      ...{ link: current.links.at(-1) ?? current.id, price: quote.price, dueUait: this.#due(current, 0) },
      finish: this.#isStopped ? 'canceled' : 'stop',
      ...{ inputTokens: 3, outputTokens: 4, startedAtMs: 1, endedAtMs: 2, open: current.open },
    };
    const signed = signReceipt(CHAIN, this.#miner.signer, script.changeReceipt?.(receipt) ?? receipt);
    const sent = script.replay === true && this.#miner.lastReceipt ? this.#miner.lastReceipt : signed;
    this.#miner.lastReceipt = signed;
    current.state = 'ended';
    current.receipt = sent;
    this.#send({ type: 'end', receipt: sent });
  }

  #acknowledged({ attempt, signature, voucher }: ClientFrame & { type: 'acknowledge' }): void {
    const current = this.#miner.attempts.get(bytesKey(attempt));
    assert.ok(current?.receipt, 'a receipt that it gave');
    const { receipt } = current.receipt;
    const id = receiptId(nativeCrypto, CHAIN, receipt);
    assert.ok(verified(acknowledgementCheck(CHAIN, id, signature, receipt.signer)));
    this.#miner.takeVoucher(voucher);
    assert.ok(this.#miner.creditOf(current) >= receipt.dueUait, 'the last voucher covers what is due');
    const account = this.#miner.accounts.get(current.agreement);
    if (account && current.state === 'ended') {
      account.sumUait += receipt.dueUait;
      this.#miner.earnedUait += receipt.dueUait;
    }
    current.state = 'over';
    if (this.#miner.script.neverDone !== true) this.#send({ type: 'done', attempt });
  }

  #output(current: Attempt, piece: Uint8Array, chunk: number): void {
    const frame = { type: 'output', attempt: current.id, chunk, piece } as const;
    this.#send(this.#miner.script.changeOutput?.(frame) ?? frame);
  }

  #tick(current: Attempt): ReturnType<typeof signTick> {
    const outputBytes = concatBytes(current.sent).length;
    const tick = {
      ...{ attempt: current.id, chunks: current.sent.length, link: current.links.at(-1) ?? current.id, outputBytes },
      dueUait: current.sent.length === 0 ? 0 : this.#due(current, 0),
    };
    return signTick(CHAIN, this.#miner.signer, this.#miner.script.changeTick?.(tick) ?? tick);
  }

  #due(current: Attempt, moreBytes: number): number {
    const bytes = current.sent.reduce((sum, piece) => sum + piece.length, 0) + moreBytes;
    return dueUait(current.quote.quote.price, current.job.spec.inputBytes, bytes);
  }

  #send(frame: MinerFrame): void {
    if (!this.#isEnded) this.#channel.send(encodeMinerFrame(frame)).catch(() => undefined);
  }
}

function verified({ message, signature, publicKey }: ReturnType<typeof voucherCheck>): boolean {
  return nativeCrypto.verify(message, signature, publicKey);
}
