import assert from 'node:assert/strict';
import { createHmac, pbkdf2Sync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { toHex } from '../../../src/bytes.ts';
import { isNodeError } from '../../../src/errors.ts';
import {
  derivationPath,
  generateMnemonic,
  isPublicMnemonic,
  MAX_MNEMONIC_CHARACTERS,
  parseMnemonic,
  positionsToAsk,
  seedOfMnemonic,
} from '../../../src/wallet/mnemonic.ts';

const ABANDON = `${'abandon '.repeat(23)}art`;

/** BIP-39 and SLIP-0010, written from their texts. */
function seedByHand(phrase: string, path: string): string {
  const root = pbkdf2Sync(phrase, 'mnemonic', 2048, 64, 'sha512');
  let digest = createHmac('sha512', 'ed25519 seed').update(root).digest();
  for (const step of path.split('/').slice(1)) {
    const index = Buffer.alloc(4);
    index.writeUInt32BE(Number(step.replace("'", '')) + 0x80000000);
    const data = Buffer.concat([Buffer.of(0), digest.subarray(0, 32), index]);
    digest = createHmac('sha512', digest.subarray(32)).update(data).digest();
  }
  return digest.subarray(0, 32).toString('hex');
}

function bad(data: object): (error: unknown) => boolean {
  return (error) => {
    assert(isNodeError(error) && error.code === 'BAD_MNEMONIC');
    assert.deepEqual(error.data, data);
    return true;
  };
}

describe('words of a wallet', () => {
  it('are 24 of the list, others each time', () => {
    const [a, b] = [generateMnemonic(), generateMnemonic()];
    assert.equal(a.split(' ').length, 24);
    assert.notEqual(a, b);
    assert.equal(parseMnemonic(a), a);
    assert(!isPublicMnemonic(a));
  });

  it('give the key that BIP-39 and SLIP-0010 say, at a path of hardened steps', async () => {
    for (const account of [0, 1, 2 ** 31 - 1]) {
      const path = derivationPath(account);
      assert.match(path, /^m(\/\d+'){4}$/);
      assert.equal(toHex(await seedOfMnemonic(ABANDON, account)), seedByHand(ABANDON, path), path);
    }
    await assert.rejects(seedOfMnemonic(ABANDON, 2 ** 31), /from 0 to/);
  });

  it('are taken in any case and with any space between them', () => {
    assert.equal(parseMnemonic(` ${ABANDON.toUpperCase().replaceAll(' ', ' \n\t')}\n`), ABANDON);
  });

  it('that are wrong are refused by count, position or checksum, and never repeated', () => {
    assert.throws(() => parseMnemonic('abandon art'), bad({ count: 2 }));
    assert.throws(() => parseMnemonic(''), bad({ count: 1 }));
    assert.throws(() => parseMnemonic(ABANDON.replace('art', 'sesame')), bad({ position: 24 }));
    assert.throws(() => parseMnemonic(ABANDON.replace('art', 'zoo')), bad({}));
    try {
      parseMnemonic(ABANDON.replace('art', 'sesame'));
    } catch (error) {
      assert(!String(error).includes('sesame') && !String(error).includes('abandon'));
    }
  });

  it('bound: a text longer than a phrase can be is not looked at', () => {
    assert.throws(() => parseMnemonic(`${ABANDON}${' '.repeat(MAX_MNEMONIC_CHARACTERS)}`), bad({}));
  });

  it('that stand in documents and tools are known as such', () => {
    const known = [
      ABANDON,
      `${'abandon '.repeat(11)}about`,
      `${'zoo '.repeat(11)}wrong`,
      'legal winner thank year wave sausage worth useful legal winner thank yellow',
      'letter advice cage absurd amount doctor acoustic avoid letter advice cage above',
      `${'test '.repeat(11)}junk`,
    ];
    for (const phrase of known) assert(isPublicMnemonic(phrase), phrase);
  });

  it('are asked for at different positions within them', () => {
    for (let i = 0; i < 50; i++) {
      const positions = positionsToAsk(24, 3);
      assert.equal(new Set(positions).size, 3);
      assert(positions.every((position) => position >= 1 && position <= 24));
    }
    assert.deepEqual(positionsToAsk(2, 3), [1, 2]);
  });

  it('need nothing that a browser lacks', () => {
    const text = readFileSync(new URL('../../../src/wallet/mnemonic.ts', import.meta.url), 'utf8');
    assert(!/from '(node:|fs|path)/.test(text));
  });
});
