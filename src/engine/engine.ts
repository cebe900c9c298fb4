/**
 * The engine of one chain: the only writer of the agreement machine and of the ledger, fed by one queue. It carries out
 * the machine's effects in order (sign behind the guard, publish, set timers, fetch and execute bodies, commit) and turns
 * what happens in the world into its inputs. Signatures are verified before anything enters the queue.
 */
import type { Hash } from '../bytes.ts';
import { equalBytes } from '../bytes.ts';
import { blockId as blockIdOf, decodeBlock } from '../chain/block.ts';
import type { ExecutedBlock } from '../chain/execute.ts';
import { LinkedRange } from '../chain/linked-range.ts';
import { validatorIndex } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import type { MachineState } from '../consensus/machine.ts';
import { startHeight, step } from '../consensus/machine.ts';
import { votesFrom } from '../consensus/selectors.ts';
import type { Effect, HeightStart, Input, Timeouts } from '../consensus/types.ts';
import { NodeError, toNodeError, unreachable } from '../errors.ts';
import type { ProposalMessage } from '../../protocols/messages.ts';
import type { ChainNetwork } from '../../protocols/network.ts';
import { wholeBody } from './bodies.ts';
import { Judging } from './judging.ts';
import type { EngineEvent, EngineModules, EngineOptions, ImportResult } from './modules.ts';
import { Pacer } from './pacer.ts';
import { inputsOf, ownFirst, Proposals } from './proposals.ts';
import { sayAgain } from './repair.ts';
import { SigningEffects } from './signing-effects.ts';
import { Timers } from './timers.ts';
import type { Resumption, Validator } from './validator.ts';

/** Events waiting at most; beyond it messages from outside are refused until the queue drains. */
export const MAX_QUEUE = 8192;
/** A lone transaction on an idle chain waits so long for company. */
const LINGER_MS = 10;
/** When a height has lasted so long, and then as often: own votes are published again and a peer is asked for what is missing. */
const REPAIR_MS = 500;
/** A check that could not be made, e.g. because too many wait, is tried again. */
const RETRY_MS = 100;
/** Votes taken along when a height is begun anew. */
const MAX_CARRIED = 4096;

/** What an import is told that this engine will never carry out. */
const STOPPED: ImportResult = { count: 0, fault: new NodeError('INTERNAL', 'the engine has stopped') };

export class Engine {
  readonly #timeouts: Timeouts;
  readonly #modules: EngineModules;
  readonly #queue: EngineEvent[] = [];
  readonly #timers: Timers;
  readonly #pacer: Pacer;
  readonly #signing: SigningEffects;
  readonly #judging: Judging;
  #network: ChainNetwork | null = null;
  #machine: MachineState;
  #running: Promise<void> | null = null;
  #stopped = false;
  /** Of the height in work. */
  #isRepairArmed = false;
  #attempt = 0;
  /** Of this height; what peers that lack them are given. */
  readonly proposals = new Proposals();
  /** Round in which this node was to propose and had nothing. */
  #unbuilt: number | null = null;

  /** Values that must not be dropped for newer ones. */
  readonly #isHeld = (blockId: Hash): boolean => {
    const { lockedId, validId } = this.#machine;
    return [lockedId, validId].some((id) => id !== null && equalBytes(id, blockId));
  };

  constructor({ timeouts }: EngineOptions, modules: EngineModules) {
    this.#timeouts = timeouts;
    this.#modules = modules;
    this.#timers = new Timers(modules.clock);
    this.#pacer = new Pacer({ ...modules, timers: this.#timers }, () => {
      this.#enqueue({ type: 'work' });
    });
    this.#signing = new SigningEffects({ ...modules, pacer: this.#pacer, isHeld: this.#isHeld });
    this.#judging = new Judging({
      ...modules,
      ...{ proposals: this.proposals, timers: this.#timers, isHeld: this.#isHeld, height: () => this.#machine.height },
      onPrepared: (prepared) => {
        this.#enqueue(prepared);
      },
      onRetry: (height, blockId) => {
        this.#judge(height, blockId);
      },
    });
    this.#machine = startHeight(this.#heightStart(null, null)).state;
  }

  /** Begins to agree on the next height. */
  start(network: ChainNetwork): void {
    this.#network = network;
    this.#modules.bodies.connect(network);
    this.#enqueue({ type: 'restart' });
  }

  async stop(): Promise<void> {
    this.#halt();
    await this.#running;
  }

  get machine(): MachineState {
    return this.#machine;
  }

  /** Too much waits already. */
  get busy(): boolean {
    return this.#queue.length >= MAX_QUEUE;
  }

  /** Feeds a verified message of the height in work; by the time its turn comes that height may be over. */
  input(height: number, input: Input): void {
    this.#enqueue({ type: 'input', height, input });
  }

  /** A verified proposal and what it says of the body. */
  proposal(message: ProposalMessage, from: string, timely: boolean): void {
    const { proposal } = message;
    if (proposal.height !== this.#machine.height) return;
    const { admission, clock, way } = this.#modules;
    admission.capacity.onBegun(clock.monotonic());
    way.begin(message.txIds.length);
    const isWanted = this.proposals.wants(proposal.blockId);
    const heard = { message, from, timely };
    if (this.proposals.add(heard)) this.#judging.keepBody(heard);
    for (const input of inputsOf(message)) this.input(proposal.height, input);
    if (isWanted) this.#judge(proposal.height, proposal.blockId);
  }

  /** Asks for the verdict on a block outside of the machine's steps. */
  #judge(height: number, blockId: Hash): void {
    if (height !== this.#machine.height || this.#stopped) return;
    const verdict = this.#judging.ask(blockId);
    if (verdict) this.input(height, verdict);
  }

  /** The pool, the evidence or the due work changed: is there a reason for a block now? */
  poke(): void {
    const isIdle = this.#machine.step === 'idle';
    if (isIdle || this.#unbuilt === this.#machine.round) this.#pacer.schedule(LINGER_MS);
    const { pool, way } = this.#modules;
    if (isIdle && this.#pacer.isNear(LINGER_MS)) way.begin(pool.ready);
  }

  /** The signing gate changed: begin the height anew with what is known of it. */
  regate(): void {
    if (this.#network) this.#enqueue({ type: 'restart' });
  }

  /** Certified blocks after the head, their transactions' signatures checked. */
  import(range: LinkedRange): Promise<ImportResult> {
    return this.#asked((done) => ({ type: 'import', range, done }));
  }

  /** A state put in the place of blocks, while nothing else happens to the chain; then the height after it begins. */
  adopt(take: () => Promise<void>): Promise<ImportResult> {
    return this.#asked((done) => ({ type: 'adopt', take, done }));
  }

  #asked(event: (done: (result: ImportResult) => void) => EngineEvent): Promise<ImportResult> {
    return new Promise((done) => {
      if (this.#stopped) done(STOPPED);
      else this.#enqueue(event(done));
    });
  }

  /** Nothing begins any more, and nobody is left waiting. */
  #halt(): void {
    this.#stopped = true;
    this.#timers.cancelAll();
    this.#modules.bodies.clear();
    this.#modules.way.end();
    for (const event of this.#queue.splice(0)) if ('done' in event) event.done(STOPPED);
  }

  // The queue

  #enqueue(event: EngineEvent): void {
    if (this.#stopped) return;
    this.#queue.push(event);
    this.#running ??= this.#drain();
  }

  async #drain(): Promise<void> {
    await Promise.resolve();
    try {
      for (let event = this.#queue.shift(); event; event = this.#queue.shift()) await this.#handle(event);
    } catch (error) {
      this.#halt();
      const fatal = toNodeError(error);
      this.#modules.log.error('engine stopped', { error: fatal, height: this.#machine.height });
      this.#modules.onFatal(fatal);
    } finally {
      this.#running = null;
    }
  }

  async #handle(event: EngineEvent): Promise<void> {
    switch (event.type) {
      case 'input':
        if (event.height === this.#machine.height) await this.#apply([event.input]);
        return;
      case 'prepared':
        if (event.height === this.#machine.height) await this.#apply([await this.#judging.execute(event)]);
        return;
      case 'work':
        if (!this.#pacer.hasReason()) return;
        if (this.#machine.step === 'idle') await this.#apply([{ type: 'work' }]);
        else await this.#buildLate();
        return;
      case 'repair':
        this.#repair();
        return;
      case 'restart':
        await this.#restart();
        return;
      case 'import':
      case 'adopt':
        await this.#handleImport(event);
        return;
      default:
        unreachable(event);
    }
  }

  /** Inputs and all that follows from them at once. */
  async #apply(inputs: Input[]): Promise<void> {
    const { height } = this.#machine;
    for (let input = inputs.shift(); input; input = inputs.shift()) {
      const { state, effects } = step(this.#machine, input);
      this.#machine = state;
      this.#modules.onStep();
      for (const effect of effects) {
        await this.#perform(effect, inputs);
        // A commit begins the next height; what is left concerns the old one.
        if (this.#machine.height !== height || this.#stopped) return;
      }
    }
  }

  /** @param inputs receives what the machine must hear next */
  async #perform(effect: Effect, inputs: Input[]): Promise<void> {
    switch (effect.type) {
      case 'new-round':
        this.#modules.metrics.round.set(effect.round);
        if (effect.round > 0) this.#modules.metrics.rounds.inc();
        this.#armRepair();
        this.proposals.prune(effect.round, this.#isHeld);
        // It may have come while its round was too far ahead for the machine.
        inputs.push(...inputsOf(this.proposals.at(effect.round)?.message));
        return;
      case 'build': {
        const blockId = await this.#signing.build(effect.round);
        if (blockId) inputs.push({ type: 'built', round: effect.round, blockId });
        this.#unbuilt = blockId ? null : effect.round;
        return;
      }
      case 'propose': {
        const message = await this.#signing.propose(this.#machine, effect);
        if (!message) return;
        this.proposals.add({ message, from: null, timely: true });
        this.#network?.publish('proposal', message);
        inputs.push({ type: 'self-proposal', proposal: message.proposal });
        return;
      }
      case 'vote': {
        const vote = await this.#signing.vote(this.#machine, effect);
        if (!vote) return;
        this.#network?.publish('vote', { attempt: 0, votes: [vote] });
        inputs.push({ type: 'self-vote', vote });
        return;
      }
      case 'validate': {
        const verdict = this.#judging.ask(effect.blockId);
        if (verdict) inputs.push(verdict);
        return;
      }
      case 'await-body':
        this.#judging.decided(effect.blockId);
        return;
      case 'timer': {
        const { kind, round, ms } = effect;
        const { height } = this.#machine;
        this.#timers.after(ms, () => {
          this.input(height, { type: 'timeout', kind, round });
        });
        return;
      }
      case 'commit':
        await this.#commit(effect.blockId, effect.certificate);
        return;
      case 'evidence':
        this.#modules.evidence.report(effect.evidence, this.#modules.log, () => {
          this.#network?.publish('evidence', effect.evidence);
          this.poke();
        });
        return;
      default:
        unreachable(effect);
    }
  }

  // Heights

  #heightStart(validator: Validator | null, resumption: Resumption | null): HeightStart {
    const { ledger } = this.#modules;
    return {
      height: ledger.tip.height + 1,
      validators: ledger.validators.current,
      self: validator?.publicKey ?? null,
      timeouts: this.#modules.admission.capacity.timeouts(this.#timeouts),
      resume: resumption?.resume ?? null,
    };
  }

  /** Begins the height after the tip; `known` are messages of it heard already. */
  async #begin(known: readonly Input[]): Promise<void> {
    const { ledger, bodies, gate, metrics, way } = this.#modules;
    way.end();
    const height = ledger.tip.height + 1;
    this.#timers.cancelAll();
    this.#isRepairArmed = false;
    this.#pacer.reset();
    this.#judging.clear();
    this.#unbuilt = null;
    const set = ledger.validators.current;
    const own = this.#modules.validator;
    const signs = own && gate.mayBeAt(height) && own.maySign(height) && validatorIndex(set, own.publicKey) >= 0;
    const validator = signs ? own : null;
    const resumption = validator?.begin(height, set, known) ?? null;
    for (const bytes of resumption?.values ?? []) {
      const block = decodeBlock(ledger.rules.crypto, bytes);
      bodies.add(wholeBody(blockIdOf(ledger.rules.crypto, block.header), block), this.#isHeld);
    }
    const kept = resumption?.ownProposal;
    if (kept) this.proposals.add({ message: kept, from: null, timely: true });
    const { state, effects } = startHeight(this.#heightStart(validator, resumption));
    this.#machine = state;
    this.#modules.onStep();
    metrics.signing.set(validator ? 1 : 0);
    const inputs: Input[] = [];
    for (const effect of effects) await this.#perform(effect, inputs);
    await this.#apply(ownFirst([...inputs, ...known, ...this.#modules.takeEarly(height)], own?.publicKey ?? null));
    if (this.#machine.height === height && this.#machine.step === 'idle') this.#pacer.schedule(0);
  }

  async #restart(): Promise<void> {
    const old = this.#machine;
    const same = old.height === this.#modules.ledger.tip.height + 1;
    const known: Input[] = same ? votesFrom(old, 0, MAX_CARRIED).map((vote) => ({ type: 'vote', vote })) : [];
    if (same) for (const message of this.proposals.all()) known.push(...inputsOf(message));
    await this.#begin(known);
  }

  async #commit(blockId: Hash, certificate: Certificate): Promise<void> {
    const { ledger, validator, way } = this.#modules;
    // Its execution was dropped for newer candidates: take the way of a block that came with its certificate.
    if (!ledger.candidate(blockId)) return this.#importLater(blockId, certificate);
    await way.give();
    const applied = await ledger.commit(blockId, certificate, validator?.guardMark ?? null);
    this.#modules.metrics.commitRound.observe(certificate.round);
    await this.#advance([applied], certificate.round);
  }

  /** Answers in any case: who waits for it must be able to stop. */
  async #handleImport(event: EngineEvent & { type: 'import' | 'adopt' }): Promise<void> {
    try {
      event.done(await (event.type === 'import' ? this.#import(event.range) : this.#adopt(event.take)));
    } catch (error) {
      event.done({ count: 0, fault: toNodeError(error) });
      // Who stops the engine may cut off what it does.
      if (event.type === 'adopt' && this.#stopped) return;
      throw error;
    }
  }

  #importLater(blockId: Hash, certificate: Certificate): void {
    const { bodies, log, ledger } = this.#modules;
    const heard = this.proposals.find(blockId);
    if (heard) this.#judging.keepBody(heard);
    else this.#modules.pull();
    const again = (error: unknown): void => {
      log.warn('body of a decided block not at hand', { height: certificate.height, error });
      this.#timers.after(RETRY_MS, () => {
        if (!this.#stopped) this.#importLater(blockId, certificate);
      });
    };
    const take = async (): Promise<void> => {
      const block = await bodies.prepare(blockId);
      if (block) await this.import(LinkedRange.of(ledger.rules.crypto, [{ block, certificate }]));
      else if (certificate.height === this.#machine.height) again(null);
    };
    take().catch(again);
  }

  async #import(range: LinkedRange): Promise<ImportResult> {
    const { ledger, admission, validator, verifyCertificate, gate, way } = this.#modules;
    const mark = validator?.guardMark ?? null;
    const { applied, fault } = await ledger.import(range, admission.verified, verifyCertificate, mark, way);
    if (applied.length > 0) await this.#advance(applied);
    // A quorum's word, not one proposer's: its certificate was verified.
    if (fault?.code === 'UPGRADE_NEEDED') gate.set('upgrade-needed', fault.message);
    return { count: applied.length, fault };
  }

  async #adopt(take: () => Promise<void>): Promise<ImportResult> {
    await take();
    await this.#advance([]);
    return { count: 0, fault: null };
  }

  /** The tip has moved: tell everyone, then begin the next height. @param round it was decided in, if that was seen */
  async #advance(applied: readonly ExecutedBlock[], round: number | null = null): Promise<void> {
    const { pool, admission, bodies, evidence, metrics, log, ledger } = this.#modules;
    const txs = applied.flatMap(({ block }) => block.txs);
    const gone = pool.onCommitted(txs, admission.view());
    admission.forget([...txs, ...gone]);
    admission.forget(pool.expire(admission.view()));
    this.#observe(applied, round);
    evidence.onCommitted();
    bodies.clear();
    this.proposals.clear();
    metrics.height.set(ledger.tip.height);
    metrics.transactions.inc({}, txs.length);
    metrics.poolSize.set(pool.size);
    log.debug('committed', { height: ledger.tip.height, blocks: applied.length, txs: txs.length });
    this.#modules.onCommit(applied);
    await this.#begin([]);
  }

  /** Ranges that were fetched tell nothing of the time that a block takes. */
  #observe(applied: readonly ExecutedBlock[], round: number | null): void {
    const { pool, admission, clock, way } = this.#modules;
    const [only] = applied;
    if (!only || applied.length > 1) return;
    const { header, txs } = only.block;
    admission.capacity.onCommitted({
      txs: txs.length,
      timeMs: header.timeMs,
      nowMs: clock.now(),
      atMs: clock.monotonic(),
      waiting: pool.ready,
      round,
      restedMs: way.restedMs,
    });
  }

  // Effects

  /** Woken by others before it had anything to propose, the proposer of an open round builds as soon as it has. */
  async #buildLate(): Promise<void> {
    const { round } = this.#machine;
    if (this.#machine.step !== 'propose' || this.#unbuilt !== round) return;
    const blockId = await this.#signing.build(round);
    if (!blockId) return;
    this.#unbuilt = null;
    await this.#apply([{ type: 'built', round, blockId }]);
  }

  // Repair

  #armRepair(): void {
    if (this.#isRepairArmed) return;
    this.#isRepairArmed = true;
    this.#timers.after(REPAIR_MS, () => {
      this.#isRepairArmed = false;
      this.#enqueue({ type: 'repair' });
    });
  }

  /** Gossip does not retransmit: say again what this node signed, and ask one peer for what it may lack. */
  #repair(): void {
    const { validator, ledger } = this.#modules;
    const machine = this.#machine;
    if (machine.step === 'idle' || machine.step === 'committed') return;
    this.#armRepair();
    this.#attempt = (this.#attempt + 1) % 0xffff;
    const own = this.proposals.at(machine.round)?.message;
    const said = { own, validator, set: ledger.validators.current, attempt: this.#attempt + 1 };
    if (this.#network) sayAgain(this.#network, machine, said);
    this.#modules.pull();
  }
}
