import assert from 'node:assert/strict';
import type { CertifiedCandidate } from '../../../src/chain/linked-range.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { ChainDriver } from '../../util/chain-driver.ts';
import { fixtureGenesis, makeTransfer } from '../../util/chain-fixture.ts';

const genesis = fixtureGenesis({ timeMs: 900_000 });

describe('ranges of blocks that prove each other', () => {
  let chain: CertifiedCandidate[];

  before(() => {
    const driver = new ChainDriver(genesis, ['validator-0', 'validator-1', 'validator-2']);
    chain = [0, 1, 2, 3].map((nonce) => {
      const { block } = driver.commit([makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce })]);
      return { block, certificate: driver.certificate ?? assert.fail() };
    });
  });

  const at = (i: number): CertifiedCandidate => chain[i] ?? assert.fail();
  const link = (blocks: readonly CertifiedCandidate[]): LinkedRange => LinkedRange.of(nativeCrypto, blocks);
  const heights = (range: LinkedRange): number[] => range.blocks.map(({ block }) => block.header.height);

  it('rest on their last certificate; the others are those that the blocks hold', () => {
    const other = { ...at(0).certificate, round: 7 };
    const range = link([{ ...at(0), certificate: other }, at(1), at(2)]);
    assert.deepEqual(
      range.anchors().map(({ certificate }) => certificate.height),
      [3],
    );
    assert.deepEqual(range.blocks[0]?.certificate, at(1).block.lastCommit);
    assert.equal(range.segments().length, 1);
  });

  it('are refused when a header is made to name other validators', () => {
    const header = { ...at(1).block.header, validatorsHash: new Uint8Array(32).fill(1) };
    assert.throws(() => link([at(0), { ...at(1), block: { ...at(1).block, header } }]), { code: 'BAD_CERTIFICATE' });
    const moved = { ...at(1), block: { ...at(1).block, header } };
    assert.throws(() => link([at(0), moved, at(2)]), { code: 'BAD_BLOCK' });
  });

  it('above a height keep what follows', () => {
    const range = link(chain);
    assert.equal(range.after(0), range);
    assert.deepEqual(heights(range.after(2)), [3, 4]);
    assert.deepEqual(heights(range.after(4)), []);
    assert.deepEqual(range.after(4).segments(), []);
  });

  it('end with a block of a newer version', () => {
    const newer = { ...at(2).block, header: { ...at(2).block.header, version: 9 }, txs: [] };
    assert.throws(() => link([at(0), at(1), { ...at(2), block: newer }, at(3)]), { code: 'BAD_CERTIFICATE' });
  });

  const bad: Record<string, { make: () => CertifiedCandidate[]; code: string }> = {
    'a gap': { make: () => [at(0), at(2)], code: 'BAD_BLOCK' },
    'another parent': {
      make: () => [
        at(0),
        { ...at(1), block: { ...at(1).block, header: { ...at(1).block.header, parent: new Uint8Array(32) } } },
      ],
      code: 'BAD_BLOCK',
    },
    'transactions left out': {
      make: () => [at(0), { ...at(1), block: { ...at(1).block, txs: [] } }],
      code: 'BAD_BLOCK',
    },
    'another last commit': {
      make: () => [at(0), at(1), { ...at(2), block: { ...at(2).block, lastCommit: at(0).certificate } }],
      code: 'BAD_BLOCK',
    },
    'a last certificate of another block': {
      make: () => [at(0), { ...at(1), certificate: at(2).certificate }],
      code: 'BAD_CERTIFICATE',
    },
    'a last certificate of prevotes': {
      make: () => [at(0), { ...at(1), certificate: { ...at(1).certificate, type: 'prevote' } }],
      code: 'BAD_CERTIFICATE',
    },
    'a changed header at the end': {
      make: () => [at(0), { ...at(1), block: { ...at(1).block, header: { ...at(1).block.header, timeMs: 1 } } }],
      code: 'BAD_CERTIFICATE',
    },
  };
  for (const [name, { make, code }] of Object.entries(bad)) {
    it(`are refused with ${name}`, () => {
      assert.throws(() => link(make()), { code });
    });
  }
});
