/** One work stream of a client: hello, then one attempt after the other. What a client sends is read no faster than it is done. */
import type { Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { SignedAssignment } from '../../chain/market/assignment.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { NodeError } from '../../errors.ts';
import type { Opener, Seal, SealKeyPair } from '../../../protocols/market/sealing.ts';
import { createOpener, createSeal } from '../../../protocols/market/sealing.ts';
import type { ClientFrame, MinerFrame } from '../../../protocols/market/work-frames.ts';
import { decodeClientFrame, encodeMinerFrame } from '../../../protocols/market/work-frames.ts';
import type { WorkStream } from '../../../protocols/market/work-stream.ts';
import type { AssignFrame } from './assign.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';
import type { AttemptRun, Listener } from './run.ts';

/** What a session asks of the miner it belongs to. */
export interface SessionHost {
  readonly chain: ChainContext;
  readonly sealKey: SealKeyPair;
  attemptOf(frame: AssignFrame): Hash;
  /** Verified and kept when it resolves; not attached yet. */
  assign(frame: AssignFrame): Promise<AttemptRun | Refusal>;
  /** Verified and kept when it resolves; not attached yet. */
  resume(frame: ClientFrame & { readonly type: 'resume' }): Promise<AttemptRun | Refusal>;
  /** Verified and kept when it resolves. @throws NodeError PEER_PROTOCOL for what no honest client sends */
  credit(run: AttemptRun, frame: ClientFrame & { readonly type: 'credit' }): Promise<void>;
  /** As `credit`. */
  acknowledge(run: AttemptRun, frame: ClientFrame & { readonly type: 'acknowledge' }): Promise<void>;
}

interface Seals {
  readonly output: Seal;
  readonly input: Opener;
  /** What all output of the stream is sealed to. */
  readonly sealTo: Uint8Array;
}

export class Session implements Listener {
  readonly #host: SessionHost;
  readonly #stream: WorkStream;
  #seals: Seals | null = null;
  #run: AttemptRun | null = null;
  /** Pieces of input of the present attempt that came here. */
  #pieces = 0;

  constructor(host: SessionHost, stream: WorkStream) {
    this.#host = host;
    this.#stream = stream;
  }

  /** Until the client ends the stream. @throws NodeError UNREACHABLE | PEER_PROTOCOL | CODEC | BAD_PROOF */
  async serve(): Promise<void> {
    try {
      for (let bytes = await this.#stream.read(); bytes; bytes = await this.#stream.read()) {
        const frame = decodeClientFrame(bytes);
        if (frame) await this.#on(frame);
      }
    } finally {
      this.#run?.detach(this);
      this.#stream.close();
    }
  }

  send(frame: Exclude<MinerFrame, { readonly type: 'output' }>): Promise<void> {
    return this.#stream.send(encodeMinerFrame(frame));
  }

  async output(attempt: Hash, chunk: number, bytes: Uint8Array): Promise<void> {
    const sealed = await this.#sealed().output.seal(bytes, { attempt, direction: 'output', piece: chunk - 1 });
    await this.#stream.send(encodeMinerFrame({ type: 'output', attempt, chunk, sealed }));
  }

  async #on(frame: ClientFrame): Promise<void> {
    switch (frame.type) {
      case 'ping':
        return;
      case 'hello':
        await this.#hello(frame);
        return;
      case 'assign':
        await this.#assign(frame);
        return;
      case 'resume':
        await this.#begin(frame.attempt, await this.#host.resume(frame), frame.chunks);
        return;
      case 'input':
        await this.#input(frame);
        return;
      case 'credit':
        await this.#of(frame.attempt, (run) => this.#host.credit(run, frame));
        return;
      case 'stop':
        await this.#of(frame.attempt, (run) => run.apply({ type: 'stop' }));
        return;
      case 'acknowledge':
        await this.#of(frame.attempt, (run) => this.#host.acknowledge(run, frame));
        return;
    }
  }

  async #hello({ encapsulation, sealTo }: ClientFrame & { readonly type: 'hello' }): Promise<void> {
    if (this.#seals) throw new NodeError('PEER_PROTOCOL', 'a second hello on one work stream');
    const { chain, sealKey } = this.#host;
    const output = await createSeal({ chain, recipientKey: sealTo });
    const input = await createOpener({ chain, privateKey: sealKey.privateKey, encapsulation });
    this.#seals = { output, input, sealTo };
    await this.send({ type: 'hello', encapsulation: output.encapsulation });
  }

  async #assign(frame: AssignFrame): Promise<void> {
    const attempt = this.#host.attemptOf(frame);
    const run = this.#run;
    if (run?.isAtWork === true && !equalBytes(run.id, attempt)) {
      await this.#refuse(attempt, refusal('BUSY', 'the attempt of this stream is at work: use another stream', 1_000));
      return;
    }
    const found = this.#isSealedTo(frame.assignment) ? await this.#host.assign(frame) : otherKey();
    await this.#begin(attempt, found, 0);
  }

  /** Frames pass through relays: only what the client signed says who may read the answer. */
  #isSealedTo({ assignment }: SignedAssignment): boolean {
    return equalBytes(assignment.sealTo, this.#sealed().sealTo);
  }

  async #begin(attempt: Hash, found: AttemptRun | Refusal, piecesHad: number): Promise<void> {
    this.#sealed();
    if ('code' in found) {
      await this.#refuse(attempt, found);
      return;
    }
    if (!this.#isSealedTo(found.state.terms.assignment)) {
      await this.#refuse(attempt, otherKey());
      return;
    }
    if (this.#run !== found) {
      this.#run?.detach(this);
      this.#run = found;
      this.#pieces = 0;
    }
    await found.attach(this, piecesHad);
  }

  #refuse(attempt: Hash, why: Refusal): Promise<void> {
    return this.send({ type: 'refuse', attempt, ...why });
  }

  async #input({ attempt, sealed }: ClientFrame & { readonly type: 'input' }): Promise<void> {
    await this.#of(attempt, async (run) => {
      const place = { attempt, direction: 'input', piece: this.#pieces++ } as const;
      await run.input(await this.#sealed().input.open(sealed, place));
    });
  }

  /** Frames of an attempt that is not here any more, or was refused, are passed over: they were on their way. */
  async #of(attempt: Hash, act: (run: AttemptRun) => Promise<void>): Promise<void> {
    if (this.#run && equalBytes(this.#run.id, attempt)) await act(this.#run);
  }

  #sealed(): Seals {
    if (this.#seals) return this.#seals;
    throw new NodeError('PEER_PROTOCOL', 'a work stream begins with a hello');
  }
}

function otherKey(): Refusal {
  return refusal('BAD_JOB', 'the stream is sealed to another key than the assignment');
}
