import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  ANSWER_BYTES,
  decodeBlocksRequest,
  decodeProposalMessage,
  decodeTxBatch,
  decodeTxsRequest,
  decodeVoteBatch,
  decodeVotesResponse,
  encodeBlocksRequest,
  encodeProposalMessage,
  encodeTxBatch,
  encodeTxsRequest,
  encodeTxsResponse,
  encodeVoteBatch,
  encodeVotesResponse,
  decodeTxsResponse,
  MAX_BATCH_TXS,
  MAX_BLOCKS,
  MAX_TX_IDS,
  MAX_VOTES,
  MAX_VOTES_PROPOSALS,
  METHOD_CODECS,
  statusSignBytes,
  TOPIC_CODECS,
} from '../../../protocols/codec.ts';
import type { Codec } from '../../../protocols/codec.ts';
import { decodeErrorPayload, decodeFrame, encodeErrorPayload, encodeFrame } from '../../../protocols/frames.ts';
import { decodeHello, decodeHelloAnswer, encodeHello, encodeHelloAnswer } from '../../../protocols/hello.ts';
import type { CertifiedBlock, EncodedBlock } from '../../../protocols/messages.ts';
import { METHODS, TOPICS } from '../../../protocols/registry.ts';
import { equalBytes, toHex } from '../../../src/bytes.ts';
import { MAX_LEAF_LIST_BYTES, MAX_LEAVES } from '../../../src/chain/market/blob.ts';
import { encodeBlock, MAX_BLOCK_TXS } from '../../../src/chain/block.ts';
import { MAX_EVIDENCE } from '../../../src/chain/evidence.ts';
import { assembleTransaction, MAX_PAYLOAD_BYTES } from '../../../src/chain/tx.ts';
import { createValidatorSet, MAX_VALIDATORS } from '../../../src/chain/validator-set.ts';
import type { Certificate, Vote } from '../../../src/chain/votes.ts';
import { encodeCertificate } from '../../../src/chain/votes.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeHasher } from '../../../src/native/hasher.ts';
import { CASES, CASES_TIMEOUT_MS } from '../../util/cases.ts';
import * as any from './arbitraries.ts';

const { record } = any;
const list = <T>(item: fc.Arbitrary<T>, minLength = 0) => fc.array(item, { minLength, maxLength: 3 });

/** Every decoder of the wire with values it must take. */
const decoders: Record<string, { codec: Codec<never>; values: fc.Arbitrary<unknown> }> = {};
function covers<T>(name: string, codec: Codec<T>, values: fc.Arbitrary<T>): void {
  decoders[name] = { codec: codec as Codec<never>, values };
}

covers(
  'tx gossip',
  TOPIC_CODECS.tx,
  record({ attempt: fc.nat(0xffff), origin: any.peerId, txs: list(any.transaction, 1) }),
);
covers('proposal gossip', TOPIC_CODECS.proposal, any.proposalMessage);
covers('vote gossip', TOPIC_CODECS.vote, record({ attempt: fc.nat(0xffff), votes: list(any.vote, 1) }));
covers('evidence gossip', TOPIC_CODECS.evidence, any.evidence);
covers('status gossip', TOPIC_CODECS.status, any.signedStatus);
covers('status', METHOD_CODECS.status.request, any.peerStatus);
covers(
  'blocks request',
  METHOD_CODECS.blocks.request,
  record({ from: fc.integer({ min: 1 }), count: fc.integer({ min: 1, max: MAX_BLOCKS }) }),
);
const encoded = ({ block, certificate }: CertifiedBlock): EncodedBlock => ({
  block: encodeBlock(block),
  certificate: encodeCertificate(certificate),
});
covers(
  'blocks response',
  {
    encode: (blocks) => METHOD_CODECS.blocks.response.encode(blocks.map(encoded)),
    decode: METHOD_CODECS.blocks.response.decode,
  },
  list(any.certifiedBlock),
);
covers('txs request', METHOD_CODECS.txs.request, record({ ids: list(any.bytes(32), 1) }));
covers('txs response', METHOD_CODECS.txs.response, list(any.transaction));
covers('votes request', METHOD_CODECS.votes.request, record({ height: fc.integer({ min: 1 }), round: fc.nat() }));
covers(
  'votes response',
  METHOD_CODECS.votes.response,
  record({ votes: list(any.vote), proposals: list(any.proposalMessage) }),
);
covers('light request', METHOD_CODECS.light.request, record({ height: fc.integer({ min: 1 }) }));
covers(
  'light answer',
  METHOD_CODECS.light.response,
  record({
    header: any.header,
    certificate: any.certificate,
    validators: any.validatorSet,
    nextValidators: any.validatorSet,
  }),
);
covers('snapshot request', METHOD_CODECS.snapshot.request, record({ below: fc.maxSafeNat() }));
covers('snapshot response', METHOD_CODECS.snapshot.response, fc.option(any.manifest, { freq: 20 }));
covers('chunk request', METHOD_CODECS.chunk.request, record({ manifest: any.bytes(32), index: fc.nat() }));
covers('blob request', METHOD_CODECS.blob.request, record({ root: any.bytes(32), part: fc.nat(MAX_LEAVES) }));
covers(
  'hello',
  { encode: encodeHello, decode: (_, bytes) => decodeHello(bytes) },
  record({ agent: any.ascii(64), chains: any.chains }),
);
covers(
  'hello answer',
  { encode: encodeHelloAnswer, decode: (_, bytes) => decodeHelloAnswer(bytes) },
  record({
    agent: any.ascii(64),
    chains: any.chains,
    refused: any.chains.map((chains) => chains.map(({ chainId }) => chainId)),
    goodbye: fc.constantFrom('none' as const, 'no-shared-chain' as const),
  }),
);
covers(
  'frame',
  { encode: encodeFrame, decode: (_, bytes) => decodeFrame(bytes) },
  record({
    id: fc.nat(),
    kind: fc.constantFrom('request' as const, 'response' as const, 'error' as const),
    payload: fc.uint8Array({ maxLength: 16 }),
  }),
);

/** Changes bytes the way a hostile or broken sender might. */
function mutate(valid: Uint8Array, kind: number, at: number, value: number): Uint8Array {
  const place = at % Math.max(1, valid.length);
  if (kind === 0) return valid.subarray(0, place);
  if (kind === 1) return Uint8Array.of(...valid, value & 0xff);
  const bytes = valid.slice();
  if (bytes.length === 0) return bytes;
  if (kind === 2) bytes[place] = value & 0xff;
  else if (kind === 3) bytes[place] = (bytes[place] ?? 0) ^ (1 << (value & 7));
  else bytes.fill(0xff, place, place + 1 + (value & 3));
  return bytes;
}

describe('protocols/codec', () => {
  for (const [name, { codec, values }] of Object.entries(decoders)) {
    it(`${name}: values survive, and ${CASES} broken inputs are refused or are the one encoding`, function () {
      this.timeout(CASES_TIMEOUT_MS);
      const samples = fc.sample(values, { numRuns: 200, seed: 7 }).map((value) => codec.encode(value as never));
      fc.assert(
        fc.property(values, (value) => {
          const decoded = codec.decode(nativeHasher, codec.encode(value as never));
          assert.deepEqual(decoded, value);
        }),
        { numRuns: 200 },
      );
      const cases = fc.tuple(fc.nat(199), fc.nat(4), fc.nat(4_095), fc.nat(0xffff));
      let refused = 0;
      fc.assert(
        fc.property(cases, ([sample, kind, at, value]) => {
          const bytes = mutate(samples[sample] ?? new Uint8Array(), kind, at, value);
          try {
            const again = codec.encode(codec.decode(nativeHasher, bytes));
            if (!equalBytes(again, bytes)) assert.fail(`not canonical: ${toHex(bytes)}`);
          } catch (error) {
            if (!isNodeError(error) || error.code !== 'CODEC') throw error;
            refused += 1;
          }
        }),
        { numRuns: CASES },
      );
      assert.ok(refused > CASES / 10, `only ${refused} of ${CASES} broken inputs refused`);
    });
  }

  it('refuses counts above the caps before it reads items', () => {
    const over = (cap: number) => Uint8Array.of((cap + 1) >> 8, (cap + 1) & 0xff);
    const code = { code: 'CODEC' };
    assert.throws(() => decodeTxBatch(nativeHasher, Uint8Array.of(0, 0, 0, ...over(MAX_BATCH_TXS))), code);
    assert.throws(() => decodeVoteBatch(Uint8Array.of(0, 0, ...over(MAX_VOTES))), code);
    assert.throws(() => decodeTxsRequest(over(MAX_TX_IDS)), code);
    assert.throws(() => decodeBlocksRequest(Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1, ...over(MAX_BLOCKS))), code);
    assert.throws(() => decodeTxBatch(nativeHasher, Uint8Array.of(0, 0, 0, 0, 0)), code, 'an empty batch says nothing');
    assert.throws(() => encodeTxsRequest({ ids: Array(MAX_TX_IDS + 1).fill(new Uint8Array(32)) }), code);
    assert.throws(() => encodeBlocksRequest({ from: 1, count: MAX_BLOCKS + 1 }), code);
  });

  it('fits the largest message of each kind into its cap', () => {
    const hash = new Uint8Array(32);
    const signature = new Uint8Array(64);
    const [header] = fc.sample(
      any.header.map((value) => ({ ...value, chainId: 'x'.repeat(32) })),
      1,
    );
    const [core] = fc.sample(any.proposal, 1);
    assert.ok(header && core);
    const certificate: Certificate = {
      type: 'precommit',
      height: 1,
      round: 0,
      blockId: hash,
      signers: [...Array(128).keys()],
      signatures: Array(128).fill(signature),
    };
    const vote: Vote = { type: 'prevote', height: 1, round: 0, blockId: hash, validator: hash, signature };
    const evidence = Array(MAX_EVIDENCE).fill({ kind: 'duplicate-proposal', a: core, b: core });
    const message = {
      attempt: 1,
      proposal: core,
      header,
      lastCommit: certificate,
      evidence,
      txIds: Array(MAX_BLOCK_TXS).fill(hash),
      polka: certificate,
    };
    const proposalBytes = encodeProposalMessage(message);
    assert.ok(proposalBytes.length <= TOPICS.proposal.maxBytes, `${proposalBytes.length}`);
    assert.equal(decodeProposalMessage(proposalBytes).txIds.length, MAX_BLOCK_TXS);

    const votes = Array(MAX_VOTES).fill(vote);
    assert.ok(encodeVoteBatch({ attempt: 0, votes }).length <= TOPICS.vote.maxBytes);

    const full = { votes: Array(2 * MAX_VOTES).fill(vote), proposals: Array(2 * MAX_VOTES_PROPOSALS).fill(message) };
    const answer = encodeVotesResponse(full);
    assert.ok(answer.length <= METHODS.votes.maxResponseBytes, `${answer.length}`);
    assert.equal(decodeVotesResponse(answer).votes.length, MAX_VOTES);
    assert.ok(decodeVotesResponse(answer).proposals.length >= 2);

    const fields = { version: 1, type: 1, sender: hash, nonce: 0, feeUait: 0, validUntilHeight: 1 };
    const big = assembleTransaction(nativeHasher, { ...fields, payload: new Uint8Array(MAX_PAYLOAD_BYTES) }, signature);
    assert.ok(encodeTxBatch({ attempt: 0, origin: 'a', txs: [big] }).length <= TOPICS.tx.maxBytes);
    const txsAnswer = encodeTxsResponse(Array(MAX_TX_IDS).fill(big));
    assert.ok(txsAnswer.length <= ANSWER_BYTES && txsAnswer.length <= METHODS.txs.maxResponseBytes);
    assert.ok(decodeTxsResponse(nativeHasher, txsAnswer).length > 100, 'a partial answer is a long prefix');

    // 2 MiB of the smallest transactions is the most a block can weigh.
    const small = assembleTransaction(nativeHasher, { ...fields, payload: new Uint8Array() }, signature);
    const txs = Array(Math.floor((2 * 1024 * 1024) / small.bytes.length)).fill(small);
    const block = { block: { header, lastCommit: certificate, evidence, txs }, certificate };
    const one = METHOD_CODECS.blocks.response.encode([encoded(block), encoded(block)]);
    assert.ok(one.length <= METHODS.blocks.maxResponseBytes, `${one.length}`);
    assert.equal(METHOD_CODECS.blocks.response.decode(nativeHasher, one).length, 1, 'the first block always fits');
    assert.equal(
      METHOD_CODECS.status.request.encode({ genesisHash: hash, baseHeight: 1, height: 9, blockId: hash, certificate })
        .length <= METHODS.status.maxRequestBytes,
      true,
    );
  });

  it('fits the largest light answer into its cap, and no larger chunk than there is', () => {
    const [header] = fc.sample(
      any.header.map((value) => ({ ...value, chainId: 'x'.repeat(32) })),
      1,
    );
    assert.ok(header);
    const validators = createValidatorSet(
      Array.from({ length: MAX_VALIDATORS }, (_, i) => ({
        publicKey: new Uint8Array(32).fill(i),
        power: 1,
        operator: new Uint8Array(20),
        name: 'x'.repeat(32),
        priority: 0,
        demoted: false,
      })),
    );
    const signers = [...Array(MAX_VALIDATORS).keys()];
    const certificate: Certificate = {
      type: 'precommit',
      height: 1,
      round: 0,
      blockId: new Uint8Array(32),
      signers,
      signatures: signers.map(() => new Uint8Array(64)),
    };
    const answer = METHOD_CODECS.light.response.encode({ header, certificate, validators, nextValidators: validators });
    assert.ok(answer.length <= METHODS.light.maxResponseBytes, `${answer.length}`);
    const chunk = new Uint8Array(METHODS.chunk.maxResponseBytes);
    assert.equal(METHOD_CODECS.chunk.response.decode(nativeHasher, METHOD_CODECS.chunk.response.encode(chunk)), chunk);
    const larger = new Uint8Array(chunk.length + 1);
    assert.throws(() => METHOD_CODECS.chunk.response.encode(larger), { code: 'CODEC' });
    assert.throws(() => METHOD_CODECS.chunk.response.decode(nativeHasher, larger), { code: 'CODEC' });
  });

  it('bound: a part of a blob, and the number of one', () => {
    const { request, response } = METHOD_CODECS.blob;
    const leaf = new Uint8Array(METHODS.blob.maxResponseBytes);
    assert.equal(response.decode(nativeHasher, response.encode(leaf)), leaf);
    assert.throws(() => response.encode(new Uint8Array(leaf.length + 1)), { code: 'CODEC' });
    assert.throws(() => response.decode(nativeHasher, new Uint8Array(leaf.length + 1)), { code: 'CODEC' });
    const beyond = request.encode({ root: new Uint8Array(32), part: MAX_LEAVES + 1 });
    assert.throws(() => request.decode(nativeHasher, beyond), { code: 'CODEC' });
    assert.ok(MAX_LEAF_LIST_BYTES <= METHODS.blob.maxResponseBytes);
  });

  it('bound: a join document as large as its cap, and a request without a byte', () => {
    const { request, response } = METHOD_CODECS.join;
    const text = new Uint8Array(METHODS.join.maxResponseBytes);
    assert.equal(response.decode(nativeHasher, response.encode(text)), text);
    assert.throws(() => response.encode(new Uint8Array(text.length + 1)), { code: 'CODEC' });
    assert.throws(() => response.decode(nativeHasher, new Uint8Array(text.length + 1)), { code: 'CODEC' });
    assert.equal(request.decode(nativeHasher, request.encode(null)), null);
    assert.throws(() => request.decode(nativeHasher, new Uint8Array(1)), { code: 'CODEC' });
  });

  it('keeps nothing of the batch alive but the transactions', () => {
    const [tx] = fc.sample(any.transaction, 1);
    assert.ok(tx);
    const { txs } = decodeTxBatch(nativeHasher, encodeTxBatch({ attempt: 0, origin: 'a', txs: [tx, tx, tx] }));
    assert.equal(txs[0]?.bytes.buffer.byteLength, tx.bytes.length);
  });

  it('binds a status to its chain', () => {
    const status = { height: 1, blockId: new Uint8Array(32), timeMs: 2, peerId: 'p' };
    const a = statusSignBytes({ chainId: 'a', genesisHash: new Uint8Array(32) }, status);
    const b = statusSignBytes({ chainId: 'a', genesisHash: new Uint8Array(32).fill(1) }, status);
    assert.notEqual(toHex(a), toHex(b));
  });

  it('maps errors of peers to known codes and cuts their text', () => {
    const known = decodeErrorPayload(encodeErrorPayload('NOT_FOUND', `a\nb${'x'.repeat(1_000)}`));
    assert.equal(known.code, 'NOT_FOUND');
    assert.match(String(known.data['peerText']), /^a bx+$/);
    assert.equal(String(known.data['peerText']).length, 256);
    assert.doesNotMatch(known.message, /xxx/);
    const foreign = encodeErrorPayload('NOT_FOUND', '').with(1, 'Z'.charCodeAt(0));
    assert.equal(decodeErrorPayload(foreign).code, 'PEER_PROTOCOL');
    const inherited = Uint8Array.of(8, ...Buffer.from('toString'), 0, 0);
    assert.equal(decodeErrorPayload(inherited).code, 'PEER_PROTOCOL');
  });
});
