/**
 * Work streams to miners, each with its two seals. One serves attempt after attempt: opening one costs more than a job.
 * Idle ones are kept for a while, a bounded number of them.
 */
import type { Hash } from '../../bytes.ts';
import { bytesKey, equalBytes } from '../../bytes.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Offer } from '../../chain/market/offer.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { Opener, OpenFrom, Seal, SealKeyPair, SealTo } from '../../../protocols/market/sealing.ts';
import type { ClientFrame, MinerFrame } from '../../../protocols/market/work-frames.ts';
import { decodeMinerFrame, encodeClientFrame } from '../../../protocols/market/work-frames.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { Miners, MinerStream } from './ports.ts';

/** As protocols/market/sealing.ts has it. */
export interface Sealing {
  deriveSealKeys(secret: Uint8Array): Promise<SealKeyPair>;
  createSeal(to: SealTo): Promise<Seal>;
  createOpener(from: OpenFrom): Promise<Opener>;
}

/** A frame for the attempt that has the line; output comes opened, null when it did not open. */
export type LineFrame =
  | Exclude<MinerFrame, { readonly type: 'hello' | 'ping' | 'output' }>
  | { readonly type: 'output'; readonly attempt: Hash; readonly chunk: number; readonly piece: Uint8Array | null };

export interface LineUser {
  /** The next frame is read once it resolves. */
  onFrame(frame: LineFrame): Promise<void> | void;
  /** Anything came at all. */
  onHeard(): void;
  onClosed(error: NodeError): void;
}

/** A miner sends what was not asked for: so many frames are passed over. */
const MAX_STALE_FRAMES = 64;

export class WorkLine {
  readonly poolKey: string;
  readonly #stream: MinerStream;
  readonly #seal: Seal;
  readonly #createOpener: (encapsulation: Uint8Array) => Promise<Opener>;
  #opener: Opener | null = null;
  #user: LineUser | null = null;
  #attempt: Hash | null = null;
  #stale = 0;
  isClosed = false;
  idle: Deadline | null = null;
  onEnd: () => void = () => undefined;

  constructor(
    poolKey: string,
    stream: MinerStream,
    seal: Seal,
    createOpener: (encapsulation: Uint8Array) => Promise<Opener>,
  ) {
    this.poolKey = poolKey;
    this.#stream = stream;
    this.#seal = seal;
    this.#createOpener = createOpener;
  }

  use(user: LineUser, attempt: Hash): void {
    this.#user = user;
    this.#attempt = attempt;
    this.#stale = 0;
  }

  leave(): void {
    this.#user = null;
    this.#attempt = null;
  }

  /** In the order of the calls. A stream that takes no more ends; its user learns so. */
  send(frame: ClientFrame): void {
    this.#send(encodeClientFrame(frame)).catch(() => undefined);
  }

  /** Resolves when more may be sent. @throws NodeError UNREACHABLE */
  sendInput(attempt: Hash, sealed: Uint8Array): Promise<void> {
    return this.#send(encodeClientFrame({ type: 'input', attempt, sealed }));
  }

  async #send(frame: Uint8Array): Promise<void> {
    try {
      await this.#stream.send(frame);
    } catch (error) {
      this.close(toNodeError(error));
      throw error;
    }
  }

  seal(piece: Uint8Array, attempt: Hash, at: number): Promise<Uint8Array> {
    return this.#seal.seal(piece, { attempt, direction: 'input', piece: at });
  }

  close(error: NodeError): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#stream.close();
    const user = this.#user;
    this.leave();
    this.onEnd();
    user?.onClosed(error);
  }

  async read(): Promise<void> {
    try {
      for (;;) {
        const bytes = await this.#stream.read();
        if (bytes === null) throw new NodeError('UNREACHABLE', 'the miner ended the stream');
        this.#user?.onHeard();
        const frame = decodeMinerFrame(bytes);
        if (frame !== null && frame.type !== 'ping') await this.#take(frame);
      }
    } catch (error) {
      this.close(toNodeError(error));
    }
  }

  async #take(frame: Exclude<MinerFrame, { readonly type: 'ping' }>): Promise<void> {
    if (frame.type === 'hello') {
      if (this.#opener) throw new NodeError('PEER_PROTOCOL', 'a second hello');
      this.#opener = await this.#createOpener(frame.encapsulation);
      return;
    }
    const attempt = attemptOf(frame);
    if (this.#attempt === null || (attempt !== null && !equalBytes(attempt, this.#attempt))) {
      // Of an attempt that is over: fenced.
      if (++this.#stale > MAX_STALE_FRAMES) throw new NodeError('PEER_PROTOCOL', 'frames of attempts that are over');
      return;
    }
    await this.#user?.onFrame(frame.type === 'output' ? await this.#open(frame) : frame);
  }

  async #open(frame: MinerFrame & { readonly type: 'output' }): Promise<LineFrame> {
    const { attempt, chunk, sealed } = frame;
    try {
      const piece = await this.#opener?.open(sealed, { attempt, direction: 'output', piece: chunk - 1 });
      return { type: 'output', attempt, chunk, piece: piece ?? null };
    } catch {
      return { type: 'output', attempt, chunk, piece: null };
    }
  }
}

/** Null for a receipt, which says whose it is in its own words. */
function attemptOf(frame: Exclude<MinerFrame, { readonly type: 'hello' | 'ping' }>): Hash | null {
  switch (frame.type) {
    case 'tick':
    case 'fail':
      return frame.tick.tick.attempt;
    case 'end':
      return null;
    default:
      return frame.attempt;
  }
}

export interface WorkLinesOptions {
  readonly chain: ChainContext;
  readonly miners: Miners;
  readonly sealing: Sealing;
  readonly keys: SealKeyPair;
  readonly deadlines: Deadlines;
  readonly maxIdle: number;
  readonly maxIdlePerMiner: number;
  readonly idleMs: number;
}

export class WorkLines {
  readonly #options: WorkLinesOptions;
  readonly #idle = new Map<string, WorkLine[]>();
  readonly #all = new Set<WorkLine>();
  #idleCount = 0;

  constructor(options: WorkLinesOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#all.size;
  }

  get idleCount(): number {
    return this.#idleCount;
  }

  /** An idle one to the same miner and seal key, or a new one. @throws NodeError UNREACHABLE | BAD_PROOF */
  async take(offer: Offer, sealKey: Uint8Array, signal: AbortSignal): Promise<WorkLine> {
    const poolKey = bytesKey(offer.miner) + bytesKey(sealKey);
    const line = this.#idle.get(poolKey)?.at(-1);
    if (!line) return this.#open(poolKey, offer, sealKey, signal);
    this.#unlist(line);
    return line;
  }

  /** Back, after an attempt that left it as it should be. */
  giveBack(line: WorkLine): void {
    line.leave();
    if (line.isClosed) return;
    const ofMiner = this.#idle.get(line.poolKey) ?? [];
    if (ofMiner.length >= this.#options.maxIdlePerMiner || this.#idleCount >= this.#options.maxIdle) {
      line.close(new NodeError('CANCELED', 'enough streams stand idle'));
      return;
    }
    this.#idle.set(line.poolKey, ofMiner);
    ofMiner.push(line);
    this.#idleCount++;
    line.idle = this.#options.deadlines.after(this.#options.idleMs, () => {
      line.close(new NodeError('CANCELED', 'the stream stood idle'));
    });
  }

  close(): void {
    for (const line of this.#all) line.close(new NodeError('UNREACHABLE', 'the coordinator stops'));
  }

  async #open(poolKey: string, offer: Offer, sealKey: Uint8Array, signal: AbortSignal): Promise<WorkLine> {
    const { chain, miners, sealing, keys } = this.#options;
    const seal = await sealing.createSeal({ chain, recipientKey: sealKey });
    const stream = await miners.open(offer, signal);
    const line = new WorkLine(poolKey, stream, seal, (encapsulation) =>
      sealing.createOpener({ chain, privateKey: keys.privateKey, encapsulation }),
    );
    this.#all.add(line);
    line.onEnd = () => {
      this.#all.delete(line);
      this.#unlist(line);
    };
    line.send({ type: 'hello', encapsulation: seal.encapsulation, sealTo: keys.publicKey });
    void line.read();
    return line;
  }

  #unlist(line: WorkLine): void {
    const ofMiner = this.#idle.get(line.poolKey);
    const at = ofMiner?.indexOf(line) ?? -1;
    if (ofMiner === undefined || at < 0) return;
    ofMiner.splice(at, 1);
    if (ofMiner.length === 0) this.#idle.delete(line.poolKey);
    this.#idleCount--;
    this.#options.deadlines.drop(line.idle);
    line.idle = null;
  }
}
