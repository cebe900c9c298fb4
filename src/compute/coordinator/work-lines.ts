/**
 * Work streams to miners, each a channel of its own. One serves attempt after attempt: opening one costs more than a job.
 * Idle ones are kept for a while, a bounded number of them.
 */
import type { Hash } from '../../bytes.ts';
import { bytesKey, equalBytes } from '../../bytes.ts';
import type { Verifier } from '../../chain/crypto/types.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Offer } from '../../chain/market/offer.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { Sealing, SealKeyPair } from '../../../protocols/market/sealing.ts';
import type { WorkChannel } from '../../../protocols/market/work-channel.ts';
import { openWorkChannel } from '../../../protocols/market/work-channel.ts';
import type { ClientFrame, MinerFrame } from '../../../protocols/market/work-frames.ts';
import { decodeMinerFrame, encodeClientFrame } from '../../../protocols/market/work-frames.ts';
import type { Deadline, Deadlines } from './deadlines.ts';
import type { Miners } from './ports.ts';

/**
 * `breach`: the miner's own word was none that it may send. `refused`: it says itself that it does not take the stream, and no
 * frame has left. `broken`: whoever carries the stream may be to blame.
 */
export type LineEnd = 'breach' | 'refused' | 'broken';

export interface LineUser {
  /** Of the attempt that has the line; the next one is read once it resolves. */
  onFrame(frame: MinerFrame): Promise<void> | void;
  /** Anything came at all. */
  onHeard(): void;
  onClosed(error: NodeError, how: LineEnd): void;
}

/** A miner sends what was not asked for: so many frames are passed over. */
const MAX_STALE_FRAMES = 64;

export class WorkLine {
  readonly poolKey: string;
  readonly #channel: WorkChannel;
  #user: LineUser | null = null;
  #attempt: Hash | null = null;
  #stale = 0;
  isClosed = false;
  idle: Deadline | null = null;
  onEnd: () => void = () => undefined;

  constructor(poolKey: string, channel: WorkChannel) {
    this.poolKey = poolKey;
    this.#channel = channel;
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
  sendInput(attempt: Hash, piece: Uint8Array): Promise<void> {
    return this.#send(encodeClientFrame({ type: 'input', attempt, piece }));
  }

  /** The miner has said hello: frames may have left. */
  get isOpened(): boolean {
    return this.#channel.otherKey !== null;
  }

  onHeard(): void {
    this.#user?.onHeard();
  }

  async #send(frame: Uint8Array): Promise<void> {
    try {
      await this.#channel.send(frame);
    } catch (error) {
      this.close(toNodeError(error));
      throw error;
    }
  }

  close(error: NodeError, how: LineEnd = 'broken'): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#channel.close();
    const user = this.#user;
    this.leave();
    this.onEnd();
    user?.onClosed(error, how);
  }

  async read(): Promise<void> {
    let isOpened = false;
    try {
      for (;;) {
        isOpened = false;
        const bytes = await this.#channel.read();
        if (bytes === null) throw new NodeError('UNREACHABLE', 'the miner ended the stream');
        isOpened = true;
        const frame = decodeMinerFrame(bytes);
        if (frame !== null) await this.#take(frame);
      }
    } catch (error) {
      const reason = toNodeError(error);
      if (this.#channel.refusal === error) this.close(reason, 'refused');
      else this.close(reason, isOpened || reason.code === 'CODEC' ? 'breach' : 'broken');
    }
  }

  async #take(frame: MinerFrame): Promise<void> {
    const attempt = attemptOf(frame);
    if (this.#attempt === null || (attempt !== null && !equalBytes(attempt, this.#attempt))) {
      // Of an attempt that is over: fenced.
      if (++this.#stale > MAX_STALE_FRAMES) throw new NodeError('PEER_PROTOCOL', 'frames of attempts that are over');
      return;
    }
    await this.#user?.onFrame(frame);
  }
}

/** Null for a receipt, which says whose it is in its own words. */
function attemptOf(frame: MinerFrame): Hash | null {
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
  readonly verifier: Verifier;
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
    const { chain, miners, sealing, verifier, keys } = this.#options;
    const stream = await miners.open(offer, signal);
    let line: WorkLine | null = null;
    const onHeard = (): void => line?.onHeard();
    const channel = await openWorkChannel({
      ...{ chain, sealing, stream, keys, verifier, onHeard },
      ...{ minerKey: sealKey, miner: offer.miner },
    }).catch((error: unknown) => {
      stream.close();
      throw error;
    });
    line = new WorkLine(poolKey, channel);
    this.#keep(line);
    return line;
  }

  #keep(line: WorkLine): void {
    this.#all.add(line);
    line.onEnd = () => {
      this.#all.delete(line);
      this.#unlist(line);
    };
    void line.read();
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
