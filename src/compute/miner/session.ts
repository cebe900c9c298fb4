/** One work stream of a client: hello, then one attempt after the other. What a client sends is read no faster than it is done. */
import type { Hash } from '../../bytes.ts';
import { equalBytes } from '../../bytes.ts';
import type { Signer } from '../../chain/crypto/types.ts';
import type { SignedAssignment } from '../../chain/market/assignment.ts';
import type { ChainContext } from '../../chain/signing.ts';
import type { Sealing, SealKeyPair } from '../../../protocols/market/sealing.ts';
import type { WorkChannel } from '../../../protocols/market/work-channel.ts';
import { acceptWorkChannel } from '../../../protocols/market/work-channel.ts';
import type { ClientFrame, MinerFrame } from '../../../protocols/market/work-frames.ts';
import { decodeClientFrame, encodeMinerFrame } from '../../../protocols/market/work-frames.ts';
import type { WorkStream } from '../../../protocols/market/work-stream.ts';
import type { AssignFrame } from './assign.ts';
import type { Refusal } from './refusal.ts';
import { refusal } from './refusal.ts';
import type { AttemptRun, Listener } from './run.ts';
import type { SealKeys } from './seal-keys.ts';

/** What a session asks of the miner it belongs to. */
export interface SessionHost {
  readonly chain: ChainContext;
  readonly sealing: Sealing;
  readonly sealKeys: Pick<SealKeys, 'find'>;
  /** Of the miner's account. */
  readonly signer: Pick<Signer, 'sign'>;
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

export class Session implements Listener {
  readonly peer: string;
  readonly #host: SessionHost;
  readonly #channel: WorkChannel;
  #run: AttemptRun | null = null;

  /** @param from the node where the stream comes from: the client's, or one that relays it */
  constructor(host: SessionHost, stream: WorkStream, from: string) {
    this.peer = from;
    this.#host = host;
    const { chain, sealing, sealKeys, signer } = host;
    const keysOf = (publicKey: Uint8Array): SealKeyPair | undefined => sealKeys.find(publicKey);
    this.#channel = acceptWorkChannel({ chain, sealing, stream, signer, keysOf });
  }

  /** Until the client ends the stream. @throws NodeError UNREACHABLE | PEER_PROTOCOL | CODEC | BAD_PROOF */
  async serve(): Promise<void> {
    try {
      for (let bytes = await this.#channel.read(); bytes; bytes = await this.#channel.read()) {
        const frame = decodeClientFrame(bytes);
        if (frame) await this.#on(frame);
      }
    } finally {
      this.#run?.detach(this);
      this.#channel.close();
    }
  }

  send(frame: Exclude<MinerFrame, { readonly type: 'output' }>): Promise<void> {
    return this.#channel.send(encodeMinerFrame(frame));
  }

  output(attempt: Hash, chunk: number, piece: Uint8Array): Promise<void> {
    return this.#channel.send(encodeMinerFrame({ type: 'output', attempt, chunk, piece }));
  }

  async #on(frame: ClientFrame): Promise<void> {
    switch (frame.type) {
      case 'assign':
        await this.#assign(frame);
        return;
      case 'resume':
        await this.#begin(frame.attempt, await this.#host.resume(frame), frame.chunks);
        return;
      case 'input':
        await this.#of(frame.attempt, (run) => run.input(frame.piece));
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

  /** What the client signed says whose stream it is: only who has that key sends here, and reads the answer. */
  #isSealedTo({ assignment }: SignedAssignment): boolean {
    const { otherKey } = this.#channel;
    return otherKey !== null && equalBytes(assignment.sealTo, otherKey);
  }

  async #begin(attempt: Hash, found: AttemptRun | Refusal, piecesHad: number): Promise<void> {
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
    }
    await found.attach(this, piecesHad);
  }

  #refuse(attempt: Hash, why: Refusal): Promise<void> {
    return this.send({ type: 'refuse', attempt, ...why });
  }

  /** Frames of an attempt that is not here any more, or was refused, are passed over: they were on their way. */
  async #of(attempt: Hash, act: (run: AttemptRun) => Promise<void>): Promise<void> {
    if (this.#run && equalBytes(this.#run.id, attempt)) await act(this.#run);
  }
}

function otherKey(): Refusal {
  return refusal('BAD_JOB', 'the stream is sealed to another key than the assignment');
}
