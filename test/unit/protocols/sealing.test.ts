import assert from 'node:assert/strict';
import type { Opener, Seal, Sealing, SealKeyPair } from '../../../protocols/market/sealing.ts';
import { hpke } from '../../../protocols/market/sealing.ts';
import { MAX_PIECE_BYTES } from '../../../protocols/market/work-frames.ts';
import { fromHex, utf8 } from '../../../src/bytes.ts';
import { nativeSealing } from '../../../src/native/sealing.ts';
import { openByReference } from './hpke-reference.ts';

const chain = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(7) };
const bound = utf8('these two hellos');
const keysOf = (fill: number) => hpke.deriveSealKeys(new Uint8Array(32).fill(fill));

interface Made {
  readonly from: SealKeyPair;
  readonly to: SealKeyPair;
  readonly seal: Seal;
  readonly opener: Opener;
}

async function pairOf(sealing: Sealing, opening: Sealing, sealChain = chain): Promise<Made> {
  const [from, to] = await Promise.all([keysOf(1), keysOf(2)]);
  const seal = await sealing.createSeal({ chain: sealChain, keys: from, recipientKey: to.publicKey });
  const { encapsulation } = seal;
  const opener = await opening.createOpener({ chain, keys: to, senderKey: from.publicKey, encapsulation });
  return { from, to, seal, opener };
}

const fails = (promise: Promise<unknown>): Promise<void> => assert.rejects(promise, { code: 'BAD_PROOF' });

for (const [who, sealing, opening] of [
  ['WebCrypto', hpke, hpke],
  ['Node', nativeSealing, nativeSealing],
  ['WebCrypto, opened by Node', hpke, nativeSealing],
  ['Node, opened by WebCrypto', nativeSealing, hpke],
] as const) {
  describe(`protocols/sealing by ${who}`, () => {
    const pair = (sealChain = chain): Promise<Made> => pairOf(sealing, opening, sealChain);

    it('opens what was sealed, in order, bytes of every size, calls that overlap included', async () => {
      const { seal, opener } = await pair();
      const pieces = [0, 1, 1000, MAX_PIECE_BYTES].map((size) => new Uint8Array(size).fill(size & 255));
      const sealed = await Promise.all(pieces.map((piece) => seal.seal(piece, bound)));
      assert.deepEqual(
        sealed.map(({ length }) => length),
        pieces.map(({ length }) => length + 16),
      );
      assert.deepEqual(await Promise.all(sealed.map((bytes) => opener.open(bytes, bound))), pieces);
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

      const { from, to, seal } = await pair();
      await seal.seal(utf8('first'), bound);
      const sealed = await seal.seal(utf8(truth), bound);
      const info = Buffer.concat([utf8('\x08AIT/work\x0aait-devnet'), chain.genesisHash]);
      const message = { enc: seal.encapsulation, info, aad: bound, sealed, sequence: 1 };
      assert.equal(openByReference({ aeadId: 2, keyBytes: 32 }, to, message, from.publicKey).toString(), truth);
    });

    it('opens as many records as there are, and no sealing is like another', async () => {
      const { seal, opener } = await pair();
      const seen = new Set<string>();
      for (let i = 0; i < 600; i++) {
        const sealed = await seal.seal(utf8('the same'), bound);
        seen.add(Buffer.from(sealed).toString('hex'));
        assert.deepEqual(await opener.open(sealed, bound), utf8('the same'));
      }
      assert.equal(seen.size, 600);
      assert.notDeepEqual((await pair()).seal.encapsulation, seal.encapsulation);
    });

    it('makes the same bytes of the same keys and secret as the other does', async () => {
      const [from, to] = await Promise.all([keysOf(1), keysOf(2)]);
      const ephemeralSecret = new Uint8Array(32).fill(5);
      const made = [sealing, opening].map(async ({ createSeal }) => {
        const seal = await createSeal({ chain, keys: from, recipientKey: to.publicKey, ephemeralSecret });
        return [seal.encapsulation, await seal.seal(utf8('x'), bound), await seal.seal(utf8('x'), bound)];
      });
      assert.deepEqual(await made[0], await made[1]);
    });

    it('derives the same pair from the same secret', async () => {
      const fill9 = new Uint8Array(32).fill(9);
      assert.deepEqual(await sealing.deriveSealKeys(fill9), await opening.deriveSealKeys(fill9));
      // DeriveKeyPair of RFC 9180 A.1.1.
      const rfc = await sealing.deriveSealKeys(
        fromHex('6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037'),
      );
      assert.deepEqual(rfc.publicKey, fromHex('3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d'));
    });

    it('opens nothing that was changed, said twice, left out, or sealed by another, for another, or for another chain', async () => {
      const changed = await pair();
      const sealed = await changed.seal.seal(utf8('x'), bound);
      await fails(
        changed.opener.open(
          sealed.map((byte, i) => (i === 0 ? byte ^ 1 : byte)),
          bound,
        ),
      );
      await fails(changed.opener.open(sealed, bound));

      const twice = await pair();
      const once = await twice.seal.seal(utf8('x'), bound);
      await twice.opener.open(once, bound);
      await fails(twice.opener.open(once, bound));

      const leftOut = await pair();
      await leftOut.seal.seal(utf8('first'), bound);
      await fails(leftOut.opener.open(await leftOut.seal.seal(utf8('x'), bound), bound));

      const elsewhere = await pair();
      await fails(elsewhere.opener.open(await elsewhere.seal.seal(utf8('x'), bound), utf8('those two hellos')));
      for (const other of [
        { ...chain, chainId: 'ait-testnet' },
        { ...chain, genesisHash: new Uint8Array(32) },
      ]) {
        const { seal, opener } = await pair(other);
        await fails(opener.open(await seal.seal(utf8('x'), bound), bound));
      }

      const { seal, from, to } = await pair();
      const stranger = await keysOf(3);
      const { encapsulation } = seal;
      for (const wrong of [
        { keys: stranger, senderKey: from.publicKey },
        { keys: to, senderKey: stranger.publicKey },
      ]) {
        const opener = await opening.createOpener({ chain, ...wrong, encapsulation });
        await fails(opener.open(await seal.seal(utf8('x'), bound), bound));
        await fails(opener.open(new Uint8Array(3), bound));
      }
      for (const key of [new Uint8Array(32), new Uint8Array(31)]) {
        await fails(sealing.createSeal({ chain, keys: from, recipientKey: key }));
        await fails(opening.createOpener({ chain, keys: to, senderKey: from.publicKey, encapsulation: key }));
        await fails(opening.createOpener({ chain, keys: to, senderKey: key, encapsulation }));
      }
    });
  });
}
