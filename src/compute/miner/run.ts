/**
 * One attempt as it happens: the pure machine of attempt.ts with its executor, its stream, its timers and its rows. What
 * waits goes one after the other, so that nothing is sent before what it rests on is kept.
 */
import type { Hash as Digest } from 'node:crypto';
import { createHash } from 'node:crypto';
import type { Hash, Signature } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import { leavesOf } from '../../chain/market/blob.ts';
import type { ContentPart, JobContent, JobPart } from '../../chain/market/content.ts';
import { blobBytesOf, blobsOf, decodeContent } from '../../chain/market/content.ts';
import type { Clock } from '../../clock.ts';
import type { ErrorCode } from '../../errors.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import { LEASE_MS } from '../../../protocols/market/work-frames.ts';
import type { MinerFrame } from '../../../protocols/market/work-frames.ts';
import type { AttemptEffect, AttemptInput, AttemptRules, AttemptState, Kept } from './attempt.ts';
import { isAtWork, mostContentBytes, recap, stepAttempt } from './attempt.ts';
import { Coalescer } from './coalescer.ts';
import { gatherParts } from './gather.ts';
import type { Monitor, Stopwatch } from './monitor.ts';
import type { MinerBlobs, MinerExecutors } from './ports.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';

/** All content must have come by then. */
const INPUT_MS = 30_000;
/** For each leaf of what it names more: 128 KiB a second. A slot waits no longer for who pays only when work begins. */
const LEAF_MS = 2_000;
/** What may be the matter with blobs, or with who has them. */
const OF_BLOBS: ReadonlySet<ErrorCode> = new Set(['BAD_JOB', 'BAD_PROOF', 'NOT_FOUND', 'BUSY', 'UNREACHABLE']);
/** An executor that has not stopped by then is left behind. */
const STOP_MS = 5_000;

/** Where frames go while a client listens. */
export interface Listener {
  /** The node where the client's frames come from: it has the blobs of the client's jobs. */
  readonly peer: string;
  /** @throws NodeError UNREACHABLE */
  send(frame: Exclude<MinerFrame, { readonly type: 'output' }>): Promise<void>;
  /** @param chunk from 1 on @throws NodeError UNREACHABLE */
  output(attempt: Hash, chunk: number, bytes: Uint8Array): Promise<void>;
}

export interface RunModules {
  readonly rules: AttemptRules;
  readonly clock: Clock;
  readonly executors: MinerExecutors;
  readonly blobs: MinerBlobs;
  readonly monitor: Monitor;
  /** On the disk when it resolves. @throws NodeError STORAGE */
  readonly keep: (run: AttemptRun, what: Kept, acknowledgement: Signature | null) => Promise<void>;
  /** In the ledger, before it is kept. */
  readonly onDue: (run: AttemptRun, dueUait: number) => void;
  readonly onOver: (run: AttemptRun, dueUait: number, receipt: Hash | null) => void;
  /** The disk fails: nothing may be sent any more. */
  readonly onFatal: (error: NodeError) => void;
}

export class AttemptRun {
  readonly #modules: RunModules;
  #state: AttemptState;
  #listener: Listener | null = null;
  /** Pieces sent, for a client that comes back. */
  #pieces: Uint8Array[];
  #outputBytes = 0;
  readonly #digest: Digest = createHash('sha256');
  /** Nothing once work is over. */
  #input: Uint8Array;
  readonly #inputDigest: Digest = createHash('sha256');
  #params: JobContent['params'] = [];
  /** With what its blobs hold. */
  #parts: readonly ContentPart[] = [];
  readonly #abort = new AbortController();
  /** Of the piece that was handed over: resolves when the next one may come. */
  #goOn: (() => void) | null = null;
  readonly #timers: (() => void)[] = [];
  #cancelLease: (() => void) | null = null;
  #queue: Promise<void> = Promise.resolve();
  /** The disk failed, or the miner has closed. */
  #isBroken = false;
  /** When work was over, by this miner's clock; null before. */
  overAtMs: number | null = null;

  /** @param pieces of an attempt that ended before this start */
  constructor(modules: RunModules, state: AttemptState, pieces: Uint8Array[] = []) {
    this.#modules = modules;
    this.#state = state;
    this.#pieces = pieces;
    this.#outputBytes = pieces.reduce((sum, { length }) => sum + length, 0);
    this.#input = new Uint8Array(isAtWork(state) ? mostContentBytes(state.terms) : 0);
    if (!isAtWork(state)) return;
    this.#after(INPUT_MS, () => {
      if (!this.#state.hasContent) this.giveUp('TIMEOUT', 'the input did not come in time');
    });
    this.#after(state.terms.assignment.assignment.executionMs, () => {
      this.giveUp('TIMEOUT', 'the time of the assignment is over');
    });
  }

  get state(): AttemptState {
    return this.#state;
  }

  get id(): Hash {
    return this.#state.terms.id;
  }

  get isAtWork(): boolean {
    return isAtWork(this.#state);
  }

  get pieces(): readonly Uint8Array[] {
    return this.#pieces;
  }

  /** Held for a client that comes back. */
  get keptBytes(): number {
    return this.#outputBytes;
  }

  /** Held for the work, and no longer. */
  get inputRoomBytes(): number {
    return this.#input.length;
  }

  /** From now on frames go there, beginning with where the attempt is, and the pieces from that number on. */
  attach(listener: Listener, piecesHad: number): Promise<void> {
    this.#cancelLease?.();
    this.#cancelLease = null;
    return this.#later(async () => {
      this.#listener = listener;
      const frames = recap(this.#state);
      const isEnding = ({ frame }: (typeof frames)[number]): boolean =>
        frame.type !== 'accept' && frame.type !== 'start';
      for (const { frame } of frames.filter((each) => !isEnding(each))) await this.#send((to) => to.send(frame));
      for (let at = piecesHad; at < this.#pieces.length; at++) {
        const piece = this.#pieces[at];
        if (piece) await this.#send((to) => to.output(this.id, at + 1, piece));
      }
      for (const { frame } of frames.filter(isEnding)) await this.#send((to) => to.send(frame));
    });
  }

  /** The client is gone from there; it has a lease's time to come back. */
  detach(listener: Listener): void {
    if (this.#listener !== listener) return;
    this.#listener = null;
    if (!this.isAtWork || this.#isBroken) return;
    this.#cancelLease = this.#modules.clock.after(LEASE_MS, () => {
      this.giveUp('LEASE_LOST', 'the client fell silent');
    });
  }

  /** A piece of input, opened. Resolves when the next one may come. @throws NodeError PEER_PROTOCOL */
  async input(piece: Uint8Array): Promise<void> {
    if (piece.length === 0) throw new NodeError('PEER_PROTOCOL', 'a piece of input is empty');
    if (this.#state.phase !== 'input' || this.#state.hasContent) return;
    const at = this.#state.inputBytes;
    const endAt = at + piece.length;
    if (endAt <= this.#input.length) this.#input.set(piece, at);
    const isWhole = endAt === this.#input.length || this.#isNamed(piece);
    await this.apply({ type: 'input', bytes: piece.length, isWhole });
  }

  giveUp(code: ErrorCode, text: string): void {
    void this.apply({ type: 'give-up', code, text });
  }

  /** Resolves when all that follows from it is kept and sent. */
  apply(input: AttemptInput): Promise<void> {
    if (this.#isBroken) return this.#queue;
    const { state, effects } = stepAttempt(this.#modules.rules, this.#state, input);
    this.#state = state;
    for (const effect of effects) this.#perform(effect);
    return this.#queue;
  }

  /** Resolves when what was decided until now is kept and sent. */
  idle(): Promise<void> {
    return this.#queue;
  }

  /** The client has all of it. */
  forgetOutput(): void {
    this.#pieces = [];
    this.#outputBytes = 0;
  }

  /** Whatever comes yet, of its executor too, changes nothing and is kept nowhere. */
  end(): void {
    this.#isBroken = true;
    this.close();
  }

  /** What it holds is let go. */
  close(): void {
    for (const cancel of this.#timers.splice(0)) cancel();
    this.#cancelLease?.();
    this.#abort.abort();
    this.forgetOutput();
  }

  // Effects

  #perform(effect: AttemptEffect): void {
    const { onDue, onOver, keep } = this.#modules;
    switch (effect.type) {
      case 'due':
        onDue(this, effect.dueUait);
        return;
      case 'over':
        this.#over();
        onOver(this, effect.dueUait, effect.receipt);
        return;
      case 'check-content':
        this.#checkContent();
        return;
      case 'abort':
        this.#abort.abort();
        return;
      case 'keep':
        void this.#later(() => keep(this, effect.what, effect.acknowledgement ?? null));
        return;
      case 'send':
        void this.#later(() => this.#send((to) => to.send(effect.frame)));
        return;
      case 'output':
        this.#digest.update(effect.bytes);
        void this.#later(() => {
          this.#pieces.push(effect.bytes);
          this.#outputBytes += effect.bytes.length;
          return this.#send((to) => to.output(this.id, effect.chunk, effect.bytes));
        });
        return;
      case 'start':
        void this.#later(() => {
          void this.#work(effect.maxOutputBytes);
          return Promise.resolve();
        });
        return;
      case 'go':
        void this.#later(() => {
          this.#goOn?.();
          return Promise.resolve();
        });
        return;
    }
  }

  #over(): void {
    this.overAtMs = this.#modules.clock.now();
    this.#input = new Uint8Array();
    this.#parts = [];
    for (const cancel of this.#timers.splice(0)) cancel();
    this.#cancelLease?.();
    this.#abort.abort();
  }

  /** Whether the content ends with this piece, though the job's input, its blobs included, is larger. */
  #isNamed(piece: Uint8Array): boolean {
    const { inputHash } = this.#state.terms.job.spec;
    return equalBytes(this.#inputDigest.update(piece).copy().digest(), inputHash);
  }

  #checkContent(): void {
    const { rules } = this.#modules;
    const { spec } = this.#state.terms.job;
    const encoded = this.#input.subarray(0, this.#state.inputBytes);
    if (!equalBytes(rules.hasher.hash(encoded), spec.inputHash)) {
      this.#onContent(refusal('BAD_JOB', 'the input has another hash than the job'));
      return;
    }
    try {
      const { params, parts } = decodeContent(encoded);
      this.#params = params;
      if (encoded.length + blobBytesOf(parts) !== spec.inputBytes) {
        this.#onContent(refusal('BAD_JOB', 'the input has another size than the job says'));
      } else void this.#gather(parts);
    } catch (error) {
      this.#onContent(refusal('BAD_JOB', `the input is not the content of a job: ${toNodeError(error).message}`));
    }
  }

  /** Blobs lie sealed on the shelf until the work begins; then their text is in memory, once. */
  async #gather(parts: readonly JobPart[]): Promise<void> {
    const refs = blobsOf(parts);
    if (refs.length === 0) {
      this.#parts = parts.filter((part) => 'data' in part);
      this.#onContent(null);
      return;
    }
    const leaves = refs.reduce((sum, { bytes }) => sum + leavesOf(bytes), 0);
    this.#after(INPUT_MS + leaves * LEAF_MS, () => {
      if (this.#state.phase === 'input') this.giveUp('TIMEOUT', 'the blobs that the input names did not come in time');
    });
    const { blobs, rules, clock } = this.#modules;
    const { client } = this.#state.terms.job.spec;
    const peer = (): string | null => this.#listener?.peer ?? null;
    try {
      const { signal } = this.#abort;
      const gathered = await gatherParts({ blobs, hasher: rules.hasher, clock }, parts, { client, peer, signal });
      if (!this.isAtWork) return;
      this.#parts = gathered;
      this.#onContent(null);
    } catch (error) {
      const { code, message } = toNodeError(error);
      // What is the matter with this miner alone is no reason that holds elsewhere too.
      const isOwn = !OF_BLOBS.has(code);
      this.#onContent(isOwn ? refusal('BUSY', 'this miner cannot keep the input') : refusal(code, message));
    }
  }

  #onContent(fault: Refusal | null): void {
    void this.apply({ type: 'content', fault, nowMs: this.#modules.clock.now() });
  }

  async #work(maxOutputBytes: number): Promise<void> {
    const { clock, executors, monitor } = this.#modules;
    const { quote } = this.#state.terms;
    const watch = monitor.start(quote.kind, quote.model);
    const coalescer = new Coalescer(clock, (piece) => this.#hand(piece));
    const job = { kind: quote.kind, model: quote.model, params: this.#params, parts: this.#parts, maxOutputBytes };
    this.#parts = [];
    const { signal } = this.#abort;
    try {
      const running = executors.run(job, { signal, emit: (bytes) => this.#emit(coalescer, watch, bytes) });
      const outcome = await this.#orLeft(running);
      await coalescer.flush();
      watch.done();
      void this.apply({ type: 'finished', ...outcome, outputHash: this.#outputHash(), nowMs: clock.now() });
    } catch (error) {
      coalescer.close();
      const { code, message } = toNodeError(error);
      const known = code === 'INTERNAL' ? 'EXECUTOR' : code;
      void this.apply({
        type: 'broke',
        code: known,
        text: message,
        outputHash: this.#outputHash(),
        nowMs: clock.now(),
      });
    }
  }

  #outputHash(): Hash {
    return Uint8Array.from(this.#digest.copy().digest());
  }

  async #emit(coalescer: Coalescer, watch: Stopwatch, bytes: Uint8Array): Promise<void> {
    if (this.#abort.signal.aborted) throw stopped();
    if (bytes.length === 0) return;
    watch.output(bytes.length);
    await coalescer.add(bytes);
  }

  /** Into the machine; resolves when credit and stream let the next one come. */
  #hand(piece: Uint8Array): Promise<void> {
    const { signal } = this.#abort;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        signal.removeEventListener('abort', onAbort);
        this.#goOn = null;
      };
      const onAbort = (): void => {
        end();
        reject(stopped());
      };
      if (signal.aborted) {
        reject(stopped());
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#goOn = () => {
        end();
        resolve();
      };
      void this.apply({ type: 'piece', bytes: piece });
    });
  }

  /** What an executor that does not stop does is nobody's any more. */
  #orLeft<T>(running: Promise<T>): Promise<T> {
    const { clock } = this.#modules;
    const { signal } = this.#abort;
    return new Promise((resolve, reject) => {
      let cancel: (() => void) | null = null;
      const onAbort = (): void => {
        cancel = clock.after(STOP_MS, () => {
          reject(new NodeError('EXECUTOR', 'the back end did not stop in time'));
        });
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      running.then(resolve, reject).finally(() => {
        signal.removeEventListener('abort', onAbort);
        cancel?.();
      });
    });
  }

  // In turn

  #later(task: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(async () => {
      if (this.#isBroken) return;
      try {
        await task();
      } catch (error) {
        this.end();
        this.#modules.onFatal(toNodeError(error));
      }
    });
    return this.#queue;
  }

  /** A stream that fails is one without a client: it may come back on another. */
  async #send(how: (to: Listener) => Promise<void>): Promise<void> {
    const listener = this.#listener;
    if (!listener) return;
    try {
      await how(listener);
    } catch {
      this.detach(listener);
    }
  }

  #after(ms: number, then: () => void): void {
    this.#timers.push(this.#modules.clock.after(ms, then));
  }
}

function stopped(): NodeError {
  return new NodeError('CANCELED', 'the work was stopped');
}
