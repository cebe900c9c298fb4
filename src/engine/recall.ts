/**
 * What the network remembers of this validator's key, asked at every start before anything is signed. A data folder that
 * was restored as a whole looks like any other one; only peers can tell that its key was used since.
 *
 * Nothing is signed before validators that make a quorum together with this one have said what they hold: no block comes
 * about without them anyway, so waiting for them costs no block, and answering needs no signature, so validators that
 * start together do not wait for each other. src/engine/README.md gives the rule, its reasons and its limits.
 */
import { bytesKey, equalBytes } from '../bytes.ts';
import type { Block, Header } from '../chain/block.ts';
import type { Crypto } from '../chain/crypto/types.ts';
import { getKeyRecord } from '../chain/modules/validators-state.ts';
import { exceedsOneThird, findValidator, hasQuorum, validatorIndex, validatorSetHash } from '../chain/validator-set.ts';
import type { Certificate } from '../chain/votes.ts';
import { voteSignBytes } from '../chain/votes.ts';
import type { Clock } from '../clock.ts';
import { every } from '../clock.ts';
import { toNodeError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { ChainNetwork, PeerId } from '../../protocols/network.ts';
import type { Ledger } from './ledger.ts';
import type { Presence } from './presence.ts';
import type { SigningGate } from './signing-gate.ts';
import type { Place, Validator } from './validator.ts';

/** After this time validators count that are heard of through others, for networks whose validators are not linked. */
export const RELAYED_GRACE_MS = 2_000;
/** Peers whose answer is missing are asked again. */
const ASK_AGAIN_MS = 500;
/** Peers asked at once, and peers whose answers are kept. */
export const MAX_ASKED = 16;
export const MAX_ANSWERS = 256;
/** Stored blocks above the guard that are searched for own signatures; a validator signs nearly every block. */
export const MAX_SEARCHED = 256;
/**
 * A key can have signed two heights above the head of peers with more than a third of the power, and none beyond: a
 * certificate that let it go on would hold the signature of one of them, who stood at most one block below.
 */
const UNKNOWN_HEIGHTS = 2;

export interface RecallModules {
  readonly ledger: Ledger;
  readonly crypto: Crypto;
  readonly gate: SigningGate;
  readonly presence: Presence;
  readonly validator: Validator;
  readonly clock: Clock;
  readonly log: Logger;
  /** Compares heads with a peer, catches up with it and takes its votes. @returns the height it named */
  readonly ask: (peer: PeerId) => Promise<number>;
}

/** An own signature that the guard does not know. */
interface Proof extends Place {
  readonly where: string;
}

export class Recall {
  readonly #modules: RecallModules;
  /** Height that each peer named when it answered. */
  readonly #answers = new Map<PeerId, number>();
  readonly #asking = new Set<PeerId>();
  #network: ChainNetwork | null = null;
  #stopAsking: () => void = () => undefined;
  #cancelGrace: () => void = () => undefined;
  #graceOver = false;
  #isOver = false;
  #proof: Proof | null = null;
  #toldHeight = 0;

  constructor(modules: RecallModules) {
    this.#modules = modules;
  }

  /** Closes the gate until enough validators have answered; a quorum of one has nobody to ask. */
  connect(network: ChainNetwork): void {
    const { gate, clock } = this.#modules;
    this.#network = network;
    this.#searchStore();
    if (this.#isQuorum(0) && !this.#proof) {
      this.#isOver = true;
      return;
    }
    if (!this.#proof)
      gate.set('starting', 'asking the other validators what this key signed; a quorum must answer first');
    this.#stopAsking = every(clock, ASK_AGAIN_MS, () => {
      this.#askAll();
    });
    this.#cancelGrace = clock.after(RELAYED_GRACE_MS, () => {
      this.#graceOver = true;
      this.consider();
    });
  }

  stop(): void {
    this.#stopAsking();
    this.#cancelGrace();
    this.#isOver = true;
    this.#answers.clear();
  }

  /** A peer has said what it has, and this node has taken it. */
  onAnswer(peer: PeerId, height: number): void {
    if (this.#isOver || (this.#answers.size >= MAX_ANSWERS && !this.#answers.has(peer))) return;
    this.#answers.set(peer, height);
    this.consider();
  }

  /** New blocks are on the disk. */
  onCommit(blocks: readonly Block[]): void {
    if (this.#isOver) return;
    const { store } = this.#modules.ledger;
    let parent: Header | undefined;
    for (const { header, lastCommit } of blocks) {
      if (lastCommit) this.#search(lastCommit, parent ?? store.header(lastCommit.height));
      parent = header;
    }
    const head = store.head();
    if (head) this.#search(head.certificate, head.header);
    this.consider();
  }

  /** The state of a snapshot took the place of blocks: what the key signed before it, this folder cannot tell. */
  onAdopted(): void {
    if (!this.#network) return;
    const wasOver = this.#isOver;
    this.#isOver = false;
    this.#searchStore();
    if (!wasOver) return;
    if (this.#proof) this.connect(this.#network);
    else this.#isOver = true;
  }

  /** A verified vote or proposal of the own key came from outside. */
  onOwn(place: Place): void {
    const { validator, log } = this.#modules;
    if (!validator.isBeyond(place)) return;
    if (!this.#isOver) this.#prove({ ...place, where: 'a peer holds it' });
    else if (place.height > this.#toldHeight) {
      this.#toldHeight = place.height;
      log.error("another process signs with this key, or this folder is older than the key's last use", {
        ...place,
        hint: 'stop all but one of the nodes that hold this key: two of them lose it its power for good',
      });
    }
  }

  /** Opens the gate when enough is known; called whenever something new is. */
  consider(): void {
    const { ledger, gate, log, presence } = this.#modules;
    if (this.#isOver) return;
    const power = this.#answeredPower();
    if (!this.#isQuorum(power)) return;
    if (this.#proof) {
      if (!exceedsOneThird(ledger.validators.current, power)) return;
      gate.floorHeight = Math.max(gate.floorHeight, ledger.tip.height + UNKNOWN_HEIGHTS);
      log.warn(
        'this data folder is older than the last use of its key: signing goes on above what can have been signed',
        {
          signAbove: gate.floorHeight,
          signedHeight: this.#proof.height,
        },
      );
    }
    log.debug('enough validators answered', { power });
    this.stop();
    gate.clear('starting');
    gate.clear('restored');
    presence.greet();
  }

  /** Of other validators that have answered and told nothing this node lacks still. */
  #answeredPower(): number {
    const { ledger, presence, validator } = this.#modules;
    const { current } = ledger.validators;
    const linked = new Set(this.#network?.peers() ?? []);
    const counted = new Set<string>();
    for (const [peer, status] of presence.byPeer()) {
      // One that is not linked cannot be asked: what it holds comes by gossip, twice a second.
      const isRelayed = this.#graceOver && !linked.has(peer) && presence.isFresh(status.validator);
      const height = this.#answers.get(peer) ?? (isRelayed ? status.height : undefined);
      if (height !== undefined && height <= ledger.tip.height) counted.add(bytesKey(status.validator));
    }
    return current.validators
      .filter(({ publicKey }) => !equalBytes(publicKey, validator.publicKey) && counted.has(bytesKey(publicKey)))
      .reduce((sum, { power }) => sum + power, 0);
  }

  #isQuorum(othersPower: number): boolean {
    const { ledger, validator } = this.#modules;
    const { current } = ledger.validators;
    return hasQuorum(current, othersPower + (findValidator(current, validator.publicKey)?.power ?? 0));
  }

  #askAll(): void {
    const { presence, ledger, ask, log } = this.#modules;
    const validators = presence.byPeer();
    const missing = (this.#network?.peers() ?? []).filter((peer) => {
      const height = this.#answers.get(peer);
      return height === undefined || height > ledger.tip.height + 1;
    });
    missing.sort((a, b) => Number(validators.has(b)) - Number(validators.has(a)));
    for (const peer of missing) {
      if (this.#asking.size >= MAX_ASKED) return;
      if (this.#asking.has(peer)) continue;
      this.#asking.add(peer);
      ask(peer)
        .then(
          (height) => {
            this.onAnswer(peer, height);
          },
          (error: unknown) => {
            log.debug('a peer did not say what this key signed', { peer, code: toNodeError(error).code });
          },
        )
        .finally(() => {
          this.#asking.delete(peer);
          this.consider();
        });
    }
  }

  // Own signatures that the guard does not know

  #searchStore(): void {
    const { ledger, validator } = this.#modules;
    const { height: tip } = ledger.tip;
    const base = ledger.store.base();
    // Blocks that are not here may bear signatures of this key, if it ever was a validator's.
    if (base > 1 && validator.knownHeight < base && getKeyRecord(ledger.tip.state, validator.publicKey)) {
      const place: Place = { height: base, round: 0, step: 'precommit' };
      if (validator.isBeyond(place))
        this.#prove({ ...place, where: 'it may stand in blocks before the first one here' });
    }
    const from = Math.max(validator.knownHeight, tip - MAX_SEARCHED + 1, 1);
    for (let height = tip; height >= from && !this.#proof; height--) {
      const certificate = ledger.store.certificate(height);
      if (certificate) this.#search(certificate, ledger.store.header(height));
    }
  }

  #search(certificate: Certificate, header: Header | undefined): void {
    const { validator } = this.#modules;
    const { height, round } = certificate;
    if (this.#proof && this.#proof.height >= height) return;
    const place: Place = { height, round, step: 'precommit' };
    if (validator.isBeyond(place) && this.#hasSigned(certificate, header)) {
      this.#prove({ ...place, where: 'the certificate of a block holds it' });
    }
  }

  #hasSigned(certificate: Certificate, header: Header | undefined): boolean {
    const { ledger, crypto, validator } = this.#modules;
    const { current } = ledger.validators;
    if (header && equalBytes(header.validatorsHash, validatorSetHash(crypto, current))) {
      return certificate.signers.includes(validatorIndex(current, validator.publicKey));
    }
    // Signers are named by their place in a set that was another one then.
    const message = voteSignBytes(ledger.rules.chain, certificate);
    return certificate.signatures.some((signature) => crypto.verify(message, signature, validator.publicKey));
  }

  #prove(proof: Proof): void {
    const { gate, log } = this.#modules;
    const { height } = proof;
    const isFirst = !this.#proof;
    if (this.#proof && this.#proof.height >= height) return;
    this.#proof = proof;
    if (!isFirst) return;
    log.warn('this key signed something that its data folder does not know', { ...proof });
    gate.set(
      'restored',
      `this data folder is older than the last use of its key, which signed at height ${height} already, or may have. Signing goes on by ` +
        `itself when validators with more than a third of the power, and a quorum with this one, have answered. If they ` +
        `are gone for good, find the highest height that this key signed anywhere, and start with --sign-above HEIGHT`,
    );
    gate.clear('starting');
  }
}
