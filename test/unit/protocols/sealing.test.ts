import assert from 'node:assert/strict';
import { createOpener, createSeal, createSealKeys, deriveSealKeys } from '../../../protocols/market/sealing.ts';
import type { SealPlace } from '../../../protocols/market/sealing.ts';
import { MAX_PIECE_BYTES, SEAL_BYTES } from '../../../protocols/market/work-frames.ts';
import { fromHex, utf8 } from '../../../src/bytes.ts';
import { openByReference } from './hpke-reference.ts';

const chain = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(7) };
const attempt = new Uint8Array(32).fill(1);
const place = (piece: number, rest: Partial<SealPlace> = {}): SealPlace => ({
  ...{ attempt, direction: 'input', piece },
  ...rest,
});

async function pair(sealChain = chain) {
  const keys = await createSealKeys();
  const seal = await createSeal({ chain: sealChain, recipientKey: keys.publicKey });
  const opener = await createOpener({ chain, privateKey: keys.privateKey, encapsulation: seal.encapsulation });
  return { keys, seal, opener };
}

const fails = (promise: Promise<unknown>): Promise<void> => assert.rejects(promise, { code: 'BAD_PROOF' });

describe('protocols/sealing', () => {
  it('opens what was sealed, in order, pieces of every size, calls that overlap included', async () => {
    const { seal, opener } = await pair();
    const pieces = [0, 1, 1000, MAX_PIECE_BYTES].map((size) => new Uint8Array(size).fill(size & 255));
    const sealed = await Promise.all(pieces.map((piece, i) => seal.seal(piece, place(i))));
    assert.deepEqual(
      sealed.map(({ length }) => length),
      pieces.map(({ length }) => length + SEAL_BYTES),
    );
    assert.deepEqual(await Promise.all(sealed.map((bytes, i) => opener.open(bytes, place(i)))), pieces);
  });

  it('is HPKE: an implementation of its own opens it, which opens what RFC 9180 gives in A.1.1', async () => {
    const rfc = {
      privateKey: fromHex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
      publicKey: fromHex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d'),
    };
    const given = {
      enc: fromHex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
      info: utf8('Ode on a Grecian Urn'),
      aad: utf8('Count-256'),
      sealed: fromHex('957f9800542b0b8891badb026d79cc54597cb2d225b54c00c5238c25d05c30e3fbeda97d2e0e1aba483a2df9f2'),
      sequence: 256,
    };
    const truth = 'Beauty is truth, truth beauty';
    assert.equal(openByReference({ aeadId: 1, keyBytes: 16 }, rfc, given).toString(), truth);

    const { keys, seal } = await pair();
    await seal.seal(utf8('first'), place(0));
    const sealed = await seal.seal(utf8(truth), place(1, { direction: 'output' }));
    const info = Buffer.concat([utf8('\x08AIT/seal\x0aait-devnet'), chain.genesisHash]);
    const aad = Buffer.concat([attempt, Uint8Array.of(2, 0, 0, 0, 1)]);
    const message = { enc: seal.encapsulation, info, aad, sealed, sequence: 1 };
    assert.equal(openByReference({ aeadId: 2, keyBytes: 32 }, keys, message).toString(), truth);
  });

  it('derives the same pair from the same secret', async () => {
    const secret = new Uint8Array(32).fill(9);
    const [keys, again] = [await deriveSealKeys(secret), await deriveSealKeys(secret)];
    assert.deepEqual(keys, again);
    // DeriveKeyPair of RFC 9180 A.1.1.
    const rfc = await deriveSealKeys(fromHex('6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037'));
    assert.deepEqual(rfc.publicKey, fromHex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d'));
  });

  it('opens nothing that was changed, moved, left out, or sealed for another place, key or chain', async () => {
    const other: readonly Partial<SealPlace>[] = [
      { attempt: new Uint8Array(32).fill(2) },
      { direction: 'output' },
      { piece: 1 },
    ];
    for (const wrong of other) {
      const { seal, opener } = await pair();
      await fails(opener.open(await seal.seal(utf8('x'), place(0)), place(0, wrong)));
    }
    const changed = await pair();
    const sealed = await changed.seal.seal(utf8('x'), place(0));
    await fails(
      changed.opener.open(
        sealed.map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
        place(0),
      ),
    );
    await fails(changed.opener.open(sealed, place(0)));

    const leftOut = await pair();
    await leftOut.seal.seal(utf8('first'), place(0));
    await fails(leftOut.opener.open(await leftOut.seal.seal(utf8('x'), place(1)), place(1)));

    for (const elsewhere of [
      { ...chain, chainId: 'ait-testnet' },
      { ...chain, genesisHash: new Uint8Array(32) },
    ]) {
      const { seal, opener } = await pair(elsewhere);
      await fails(opener.open(await seal.seal(utf8('x'), place(0)), place(0)));
    }
    const { seal, keys } = await pair();
    const stranger = await createSealKeys();
    const { encapsulation } = seal;
    const opener = await createOpener({ chain, privateKey: stranger.privateKey, encapsulation });
    await fails(opener.open(await seal.seal(utf8('x'), place(0)), place(0)));
    await fails(opener.open(new Uint8Array(3), place(0)));
    for (const key of [new Uint8Array(32), new Uint8Array(31)]) {
      await fails(createSeal({ chain, recipientKey: key }));
      await fails(createOpener({ chain, privateKey: keys.privateKey, encapsulation: key }));
    }
  });
});
