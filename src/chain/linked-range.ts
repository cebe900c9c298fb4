/**
 * Consecutive blocks that prove each other. A header names its parent's id, and its body holds the parent's certificate,
 * so that one good certificate at the end proves all blocks before it, with their certificates: a quorum that signed a
 * block vouches for the certificate in it. Only where the validators change does a certificate of its own prove the last
 * block of the old set.
 */
import type { Hash } from '../bytes.ts';
import { equalBytes } from '../bytes.ts';
import { NodeError } from '../errors.ts';
import type { Block, Header } from './block.ts';
import { blockId, PROTOCOL_VERSION } from './block.ts';
import type { Hasher } from './crypto/types.ts';
import { bodyFault } from './execute.ts';
import type { Certificate } from './votes.ts';

export interface CertifiedCandidate {
  readonly block: Block;
  readonly certificate: Certificate;
}

export interface LinkedBlock extends CertifiedCandidate {
  readonly blockId: Hash;
}

export class LinkedRange {
  readonly blocks: readonly LinkedBlock[];

  private constructor(blocks: readonly LinkedBlock[]) {
    this.blocks = blocks;
  }

  /**
   * A range whose headers are linked, and whose bodies are those that the headers name. A block of a newer version ends
   * it: nothing is known of what it holds. No signature is verified.
   *
   * @throws NodeError BAD_BLOCK | BAD_CERTIFICATE; nobody who checked these blocks sends them
   */
  static of(hasher: Hasher, received: readonly CertifiedCandidate[]): LinkedRange {
    const blocks: LinkedBlock[] = [];
    let parent: LinkedBlock | null = null;
    for (const { block, certificate } of received) {
      const { header } = block;
      if (parent) checkLink(parent, header);
      const id = blockId(hasher, header);
      const isKnown = header.version <= PROTOCOL_VERSION;
      const fault = isKnown ? bodyFault(hasher, block) : null;
      if (fault !== null) throw badLink(header.height, fault);
      if (parent && isKnown && isVouchedFor(parent, header)) {
        blocks[blocks.length - 1] = { ...parent, certificate: vouched(parent, block) };
      }
      parent = { block, certificate, blockId: id };
      blocks.push(parent);
      if (!isKnown) break;
    }
    const range = new LinkedRange(blocks);
    for (const anchor of range.anchors()) checkFits(anchor);
    return range;
  }

  get height(): number {
    return this.blocks[0]?.block.header.height ?? 0;
  }

  /** What of it is above a height. */
  after(height: number): LinkedRange {
    return height < this.height ? this : new LinkedRange(this.blocks.filter((at) => at.block.header.height > height));
  }

  /** The last blocks of each set of validators: those whose own certificates prove all the others. */
  anchors(): LinkedBlock[] {
    return this.blocks.filter((at, i) => {
      const next = this.blocks[i + 1];
      return !next || !isVouchedFor(at, next.block.header);
    });
  }

  /** Parts of one set of validators each, in order; the last block of each is an anchor. */
  segments(): LinkedBlock[][] {
    const segments: LinkedBlock[][] = [];
    let current: LinkedBlock[] = [];
    this.blocks.forEach((at, i) => {
      current.push(at);
      const next = this.blocks[i + 1];
      if (next && isVouchedFor(at, next.block.header)) return;
      segments.push(current);
      current = [];
    });
    return segments;
  }
}

/** A header of another version may mean another thing by its fields. */
function isVouchedFor({ block }: LinkedBlock, next: Header): boolean {
  const { version, validatorsHash } = block.header;
  return next.version === version && equalBytes(next.validatorsHash, validatorsHash);
}

function checkLink(parent: LinkedBlock, header: Header): void {
  const { height } = parent.block.header;
  const follows = header.height === height + 1 && equalBytes(header.parent, parent.blockId);
  if (!follows) throw badLink(header.height, 'does not follow the block before it');
}

/** The certificate of a block that the next one holds. */
function vouched({ block, blockId: id }: LinkedBlock, { header, lastCommit }: Block): Certificate {
  const { height } = block.header;
  const fits = lastCommit?.type === 'precommit' && lastCommit.height === height && equalBytes(lastCommit.blockId, id);
  if (!fits) throw badLink(header.height, 'last commit is not for the parent');
  return lastCommit;
}

function checkFits({ block, blockId: id, certificate }: LinkedBlock): void {
  const { height } = block.header;
  const fits = certificate.type === 'precommit' && certificate.height === height && equalBytes(certificate.blockId, id);
  if (!fits) throw new NodeError('BAD_CERTIFICATE', 'the certificate is for another block', { data: { height } });
}

function badLink(height: number, reason: string): NodeError {
  return new NodeError('BAD_BLOCK', `block ${height}: ${reason}`, { data: { height, reason } });
}
