/** A client of a miner, frame by frame: honest unless told otherwise. */
import assert from 'node:assert/strict';
import type { Hash } from '../../../../src/bytes.ts';
import { concatBytes } from '../../../../src/bytes.ts';
import type { SignedAssignment } from '../../../../src/chain/market/assignment.ts';
import { signAssignment } from '../../../../src/chain/market/assignment.ts';
import type { JobPart } from '../../../../src/chain/market/content.ts';
import { blobBytesOf, contentHash, encodeContent } from '../../../../src/chain/market/content.ts';
import type { SignedJob } from '../../../../src/chain/market/job.ts';
import { attemptId, jobId, signJob } from '../../../../src/chain/market/job.ts';
import { dueUait } from '../../../../src/chain/market/price.ts';
import type { QuoteRequest, SignedQuote } from '../../../../src/chain/market/quote.ts';
import { quoteId, signQuoteRequest } from '../../../../src/chain/market/quote.ts';
import { acknowledge, receiptCheck, receiptId } from '../../../../src/chain/market/receipt.ts';
import type { SignedReceipt } from '../../../../src/chain/market/receipt.ts';
import { nextLink } from '../../../../src/chain/market/tick.ts';
import type { Voucher } from '../../../../src/chain/modules/compute/voucher.ts';
import { signVoucher } from '../../../../src/chain/modules/compute/voucher.ts';
import { workStreamPair } from '../../../../src/compute/stream-pair.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { hpke } from '../../../../protocols/market/sealing.ts';
import type { WorkChannel } from '../../../../protocols/market/work-channel.ts';
import { openWorkChannel } from '../../../../protocols/market/work-channel.ts';
import type { ClientFrame, MinerFrame } from '../../../../protocols/market/work-frames.ts';
import { decodeMinerFrame, encodeClientFrame } from '../../../../protocols/market/work-frames.ts';
import type { WorkStream } from '../../../../protocols/market/work-stream.ts';
import { seed, signer } from '../../../util/chain-fixture.ts';
import { addressOfName } from '../../chain/modules/compute/market.ts';
import type { World } from './world.ts';
import { CLIENT, MINER, PRICE, TICK_UAIT } from './world.ts';

export interface JobOptions {
  readonly text?: string;
  readonly maxOutputBytes?: number;
  readonly maxUait?: number;
  readonly attempt?: number;
  readonly single?: boolean;
  readonly executionMs?: number;
  readonly nonce?: number;
  /** In place of the text. */
  readonly parts?: readonly JobPart[];
  /** Beside what is true. */
  readonly moreBytes?: number;
}

export interface Work {
  readonly job: SignedJob;
  readonly assignment: SignedAssignment;
  readonly attempt: Hash;
  readonly content: Uint8Array;
  readonly quote: SignedQuote;
}

export class TestClient {
  readonly world: World;
  readonly name: string;
  readonly session;
  agreement: Hash = new Uint8Array(32);
  open: Uint8Array = new Uint8Array();
  baseUait = 0;
  creditUait = 0;
  /** Of the present attempt. */
  output: Uint8Array[] = [];
  link: Hash = new Uint8Array(32);
  readonly frames: MinerFrame[] = [];
  receipt: SignedReceipt | null = null;
  ended: 'refuse' | 'fail' | 'done' | null = null;
  /** Raises credit and acknowledges by itself. */
  isHonest = true;
  stream: WorkStream | null = null;
  isClosed = false;
  channel: WorkChannel | null = null;
  #work: Work | null = null;

  constructor(world: World, name = CLIENT) {
    this.world = world;
    this.name = name;
    this.session = signer(`session-${name}`);
  }

  get context() {
    return this.world.market.chain.genesis.chain;
  }

  async request(fields: Partial<QuoteRequest> = {}, by = this.session): Promise<SignedQuote> {
    // The same request twice is one.
    this.world.clock.advance(1);
    const request: QuoteRequest = {
      client: addressOfName(this.name),
      agreement: this.agreement,
      ...{ kind: 'llm.chat', model: '', inputBytes: 4096, maxOutputBytes: 64 * 1024, maxPriceUait: 1_000_000 },
      atMs: this.world.clock.now(),
      ...fields,
    };
    return this.world.miner.quote(signQuoteRequest(this.context, by, request), 'peer');
  }

  openAgreement(capUait = 200_000, termMs?: number): void {
    Object.assign(this, this.world.open(this.name, capUait, termMs));
  }

  async draft(options: JobOptions = {}, given?: SignedQuote): Promise<Work> {
    const {
      text = 'what is it',
      maxOutputBytes = 8 * 1024,
      maxUait = 50_000,
      attempt = 1,
      executionMs = 30_000,
    } = options;
    const data = new TextEncoder().encode(text);
    const parts = options.parts ?? [{ role: 'user', mediaType: 'text/plain', data }];
    const content = encodeContent({ salt: new Uint8Array(32), params: [], parts });
    const maxPriceUait = Math.max(1_000_000, maxUait);
    const inputBytes = content.length + blobBytesOf(parts) + (options.moreBytes ?? 0);
    const quote = given ?? (await this.request({ inputBytes: Math.max(4096, inputBytes), maxPriceUait }));
    const job = signJob(this.context, this.session, {
      client: addressOfName(this.name),
      nonce: new Uint8Array(32).fill(options.nonce ?? 1),
      ...{ kind: 'llm.chat', model: '', inputHash: contentHash(nativeCrypto, content), inputBytes },
      ...{ maxOutputBytes, maxPriceUait, createdAtMs: 1, queueMs: 1_000, executionMs, totalMs: 100_000 },
    });
    const id = jobId(nativeCrypto, this.context, job);
    const assignment = signAssignment(this.context, this.session, {
      ...{ job: id, attempt, agreement: this.agreement },
      quote: quoteId(nativeCrypto, this.context, quote.quote),
      miner: addressOfName(MINER),
      ...{ baseUait: this.baseUait, maxUait, executionMs },
      sealTo: (await this.keys()).publicKey,
      single: options.single ?? false,
    });
    return { job, assignment, attempt: attemptId(nativeCrypto, id, attempt), content, quote };
  }

  voucher(creditUait: number, by = this.session, agreement = this.agreement): Voucher {
    return signVoucher(this.context, by, { agreement, creditUait, seen: this.link });
  }

  keys() {
    return hpke.deriveSealKeys(seed(`seal-${this.name}`));
  }

  /** @param from the node that the stream comes from */
  async connect(work: Pick<Work, 'quote'>, from = 'peer'): Promise<void> {
    const [client, miner] = workStreamPair(this.world.clock);
    this.stream = client;
    this.isClosed = false;
    this.world.miner
      .work(miner, from)
      .catch(() => undefined)
      .finally(() => {
        this.isClosed = true;
      });
    this.channel = await openWorkChannel({
      ...{ chain: this.context, sealing: hpke, stream: client, keys: await this.keys() },
      ...{ minerKey: work.quote.quote.sealKey, miner: work.quote.quote.miner, verifier: nativeCrypto },
    });
    void this.#read(this.channel);
  }

  async send(frame: ClientFrame): Promise<void> {
    await this.channel?.send(encodeClientFrame(frame));
  }

  /** The first voucher covers fixed price, input and a tick. */
  async assign(work: Work, creditUait = this.firstCredit(work)): Promise<void> {
    this.begin(work);
    this.creditUait = Math.max(this.creditUait, creditUait);
    const voucher = this.voucher(creditUait);
    await this.send({ type: 'assign', job: work.job, assignment: work.assignment, voucher, open: this.open });
  }

  begin(work: Work): void {
    this.#work = work;
    this.output = [];
    this.link = work.attempt;
    this.receipt = null;
    this.ended = null;
  }

  firstCredit({ job, assignment }: Work): number {
    const { baseUait, maxUait } = assignment.assignment;
    return baseUait + Math.min(maxUait, dueUait(PRICE, job.spec.inputBytes, 0) + TICK_UAIT);
  }

  async input({ attempt, content }: Pick<Work, 'attempt' | 'content'>): Promise<void> {
    await this.send({ type: 'input', attempt, piece: content });
  }

  /** All of one attempt. */
  async run(options: JobOptions = {}, quote?: SignedQuote): Promise<Work> {
    const work = await this.draft(options, quote);
    await this.connect(work);
    await this.assign(work);
    await this.input(work);
    return work;
  }

  async over(): Promise<void> {
    await this.world.until('the end of the attempt', () => this.ended !== null);
  }

  dueUait(): number {
    const { length } = this.bytes();
    return length === 0 && !this.receipt ? 0 : dueUait(PRICE, this.#work?.job.spec.inputBytes ?? 0, length);
  }

  bytes(): Uint8Array {
    return concatBytes(this.output);
  }

  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  last<Type extends MinerFrame['type']>(type: Type): (MinerFrame & { readonly type: Type }) | undefined {
    return this.frames.findLast((frame): frame is MinerFrame & { readonly type: Type } => frame.type === type);
  }

  async #read(channel: WorkChannel): Promise<void> {
    for (let bytes = await channel.read(); bytes; bytes = await channel.read()) {
      const frame = decodeMinerFrame(bytes);
      if (!frame) continue;
      this.frames.push(frame);
      await this.#on(frame);
    }
  }

  async #on(frame: MinerFrame): Promise<void> {
    const work = this.#work;
    switch (frame.type) {
      case 'output': {
        if (!work) return;
        const { piece } = frame;
        assert.equal(frame.chunk, this.output.length + 1);
        this.output.push(piece);
        this.link = nextLink(nativeCrypto, this.link, piece);
        assert.ok(this.dueUait() <= this.creditUait - work.assignment.assignment.baseUait, 'sent above credit');
        if (this.isHonest) await this.raise(work);
        return;
      }
      case 'end': {
        this.receipt = frame.receipt;
        const { message, signature, publicKey } = receiptCheck(this.context, frame.receipt);
        assert.ok(nativeCrypto.verify(message, signature, publicKey));
        if (this.isHonest && work) await this.acknowledge(work);
        return;
      }
      case 'fail':
      case 'refuse':
        this.ended = frame.type;
        this.baseUait = Math.max(this.baseUait, this.creditUait);
        return;
      case 'done':
        this.ended = 'done';
        this.baseUait += this.receipt?.receipt.dueUait ?? 0;
        return;
      default:
        return;
    }
  }

  async raise(work: Work): Promise<void> {
    const { baseUait, maxUait } = work.assignment.assignment;
    const wanted = baseUait + Math.min(maxUait, this.dueUait() + TICK_UAIT);
    if (wanted - this.creditUait < TICK_UAIT / 2) return;
    this.creditUait = wanted;
    await this.send({ type: 'credit', attempt: work.attempt, voucher: this.voucher(wanted) });
  }

  async acknowledge(work: Work): Promise<void> {
    const receipt = this.receipt ?? assert.fail('no receipt');
    const signature = acknowledge(this.context, this.session, receiptId(nativeCrypto, this.context, receipt.receipt));
    const total = work.assignment.assignment.baseUait + receipt.receipt.dueUait;
    this.creditUait = Math.max(this.creditUait, total);
    const voucher = this.voucher(this.creditUait);
    await this.send({ type: 'acknowledge', attempt: work.attempt, signature, voucher });
  }
}
