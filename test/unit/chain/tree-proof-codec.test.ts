import assert from 'node:assert/strict';
import fc from 'fast-check';
import { concatBytes, ZERO_HASH } from '../../../src/bytes.ts';
import { Writer } from '../../../src/chain/codec.ts';
import type { StateProof } from '../../../src/chain/tree-proof.ts';
import { decodeStateProof, encodeStateProof } from '../../../src/chain/tree-proof.ts';
import { spreadPath } from '../../util/tree-paths.ts';

const reason = (expected: string): object => ({ code: 'CODEC', data: { reason: expected, what: 'state proof' } });

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((bytes) => bytes.some((byte) => byte !== 0));
const sibling = fc.oneof({ weight: 1, arbitrary: hash }, { weight: 3, arbitrary: fc.constant(ZERO_HASH) });

/** Any proof that has an encoding; most siblings empty, the last one not. */
const anyProof: fc.Arbitrary<StateProof> = fc
  .tuple(
    fc.array(sibling, { maxLength: 255, size: 'medium' }),
    fc.option(hash),
    fc.option(fc.record({ path: hash, valueHash: hash }, { noNullPrototype: true })),
  )
  .map(([above, last, leaf]) => ({ siblings: last ? [...above, last] : [], leaf }));

/** Decodes to something only when those are the bytes of exactly that. */
function assertCanonical(bytes: Uint8Array): void {
  let proof: StateProof;
  try {
    proof = decodeStateProof(bytes);
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'CODEC');
    return;
  }
  assert.deepEqual(encodeStateProof(proof), bytes);
}

describe('chain/tree-proof: codec', () => {
  it('goes both ways', () => {
    fc.assert(
      fc.property(anyProof, (proof) => {
        assert.deepEqual(decodeStateProof(encodeStateProof(proof)), proof);
      }),
      { numRuns: 2000 },
    );
  });

  it('takes no byte less and none more', () => {
    fc.assert(
      fc.property(anyProof, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 40 }), (proof, cut, tail) => {
        const bytes = encodeStateProof(proof);
        assert.throws(() => decodeStateProof(bytes.subarray(0, cut % bytes.length)), reason('truncated'));
        assert.throws(() => decodeStateProof(concatBytes([bytes, tail])), reason('trailing'));
      }),
      { numRuns: 10_000 },
    );
  });

  it('accepts one encoding of a proof: 100,000 damaged ones', function () {
    this.timeout(120_000);
    let cases = 0;
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(
        anyProof,
        fc.array(damage, { minLength: 20, maxLength: 20 }),
        fc.boolean(),
        (proof, damages, head) => {
          const bytes = encodeStateProof(proof);
          for (const changes of damages) {
            const broken = bytes.slice();
            // Half of the runs hit the depth, the bitmap and the first siblings, where form is decided.
            for (const [at, mask] of changes) {
              const i = at % (head ? Math.min(40, broken.length) : broken.length);
              broken[i] = (broken[i] ?? 0) ^ mask;
            }
            assertCanonical(broken);
            cases++;
          }
        },
      ),
      { numRuns: 5000 },
    );
    assert.ok(cases >= 100_000);
  });

  it('survives bytes that were never a proof', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assertCanonical(bytes);
      }),
      { numRuns: 20_000 },
    );
  });

  it('rejects every other form by its reason', () => {
    const one = spreadPath(1);
    const bytes = (depth: number, bitmap: number[], siblings: Uint8Array[], ...rest: number[]): Uint8Array => {
      const writer = new Writer().u16(depth).raw(Uint8Array.from(bitmap));
      for (const item of siblings) writer.raw(item);
      return writer.raw(Uint8Array.from(rest)).finish();
    };
    assert.equal(decodeStateProof(bytes(3, [0x20], [one], 0)).siblings.length, 3);
    const wrong: [Uint8Array, string][] = [
      [bytes(3, [0x30], [one], 0), 'non-canonical'], // spare bit
      [bytes(3, [0x40], [one], 0), 'non-canonical'], // last sibling empty
      [bytes(3, [0x00], [], 0), 'non-canonical'],
      [bytes(3, [0xa0], [ZERO_HASH, one], 0), 'non-canonical'], // empty sibling marked as filled
      [bytes(3, [0x20], [one], 2), 'non-canonical'], // presence byte
      [bytes(3, [0x20], [one], 1), 'truncated'], // no leaf
      [
        bytes(
          257,
          new Array<number>(33).fill(0xff),
          Array.from({ length: 257 }, () => one),
          0,
        ),
        'over-cap',
      ],
      [bytes(0xffff, [], []), 'over-cap'], // refused before anything is read
      [bytes(256, new Array<number>(32).fill(0xff), [one], 0), 'truncated'],
      [new Uint8Array(0), 'truncated'],
    ];
    for (const [input, expected] of wrong) assert.throws(() => decodeStateProof(input), reason(expected));
  });

  it('does not encode what has no encoding', () => {
    assert.throws(() => encodeStateProof({ siblings: [new Uint8Array(31)], leaf: null }), { code: 'CODEC' });
    assert.throws(
      () => encodeStateProof({ siblings: [], leaf: { path: spreadPath(1), valueHash: new Uint8Array(0) } }),
      {
        code: 'CODEC',
      },
    );
  });
});
