import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fromHex, toHex } from '../../../src/bytes.ts';
import { publicKeyOf } from '../../../src/chain/crypto/pure.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { createKeystore, openKeystore, parseKeystore, SCRYPT_N, unlockSigner } from '../../../src/wallet/keystore.ts';

const FAST = 2 ** 10;
const PASSWORD = 'correct horse';

function code(expected: ErrorCode): (error: unknown) => boolean {
  return (error) => isNodeError(error) && error.code === expected;
}

describe('keystore', () => {
  it('gives back the seed for the password, through its text', async () => {
    const seed = new Uint8Array(32).fill(3);
    const keystore = await createKeystore({ name: 'alice', seed, password: PASSWORD, scryptN: FAST });
    const read = await parseKeystore(JSON.stringify(keystore));
    assert.deepEqual(Uint8Array.from(await openKeystore(read, PASSWORD)), seed);
    assert.equal(read.version, 4);
    assert.equal(read.path, '');
    assert.equal(read.description, 'alice');
    assert.equal(read.pubkey, toHex(publicKeyOf(seed)));
    assert.equal(read.crypto.kdf.function, 'scrypt');
    assert(!JSON.stringify(keystore).includes(toHex(seed)));
  });

  it('draws another seed, salt and iv each time', async () => {
    const make = () => createKeystore({ name: 'a', password: PASSWORD, scryptN: FAST });
    const [a, b] = [await make(), await make()];
    assert.notEqual(a.pubkey, b.pubkey);
    assert.notDeepEqual(a.crypto.kdf.params, b.crypto.kdf.params);
    assert.notDeepEqual(a.crypto.cipher.params, b.crypto.cipher.params);
  });

  it('takes its cost from the standard cost by default', async () => {
    const { crypto } = await createKeystore({ name: 'a', password: PASSWORD });
    assert(crypto.kdf.function === 'scrypt');
    assert.equal(crypto.kdf.params.n, SCRYPT_N);
  });

  it('unlocks a signer whose signatures the chain accepts', async () => {
    const keystore = await createKeystore({ name: 'a', password: PASSWORD, scryptN: FAST });
    const signer = await unlockSigner(keystore, PASSWORD);
    const message = Uint8Array.of(1, 2, 3);
    assert(nativeCrypto.verify(message, signer.sign(message), signer.publicKey));
  });

  it('normalises passwords as EIP-2335 says', async () => {
    const keystore = await createKeystore({ name: 'a', password: 'passwo\u0308rd\u007f1', scryptN: FAST });
    await openKeystore(keystore, 'passw\u00f6rd1');
  });

  it('refuses a wrong password', async () => {
    const keystore = await createKeystore({ name: 'a', password: PASSWORD, scryptN: FAST });
    await assert.rejects(openKeystore(keystore, 'wrong horse'), code('WRONG_PASSWORD'));
  });

  it('refuses short passwords and bad names', async () => {
    await assert.rejects(createKeystore({ name: 'a', password: 'short', scryptN: FAST }), code('INVALID_PARAMS'));
    for (const name of ['', 'A', '../x', 'a b', 'a'.repeat(33), 'ä']) {
      await assert.rejects(createKeystore({ name, password: PASSWORD, scryptN: FAST }), code('INVALID_PARAMS'), name);
    }
  });

  it('opens the scrypt test vector of EIP-2335, once its public key is of our curve', async () => {
    const vector = JSON.stringify({
      crypto: {
        kdf: {
          function: 'scrypt',
          params: {
            dklen: 32,
            n: 262144,
            p: 1,
            r: 8,
            salt: 'd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3',
          },
          message: '',
        },
        checksum: {
          function: 'sha256',
          params: {},
          message: 'd2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484',
        },
        cipher: {
          function: 'aes-128-ctr',
          params: { iv: '264daa3f303d7259501c93d997d84fe6' },
          message: '06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f',
        },
      },
      description: 'a test',
      pubkey: '9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27f4ae4040902382ae2910c15e2b420d07',
      path: 'm/12381/60/3141592653/589793238',
      uuid: '1d85ae20-35c5-4611-98e8-aa14a633906f',
      version: 4,
    });
    await assert.rejects(parseKeystore(vector), code('KEY_FILE'));
    const secret = fromHex('000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f');
    const keystore = await parseKeystore(JSON.stringify({ ...JSON.parse(vector), pubkey: toHex(publicKeyOf(secret)) }));
    // 𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑: mathematical letters, which normalise to plain ones.
    const letters = Array.from('testpassword', (letter) => String.fromCodePoint(0x1d51e + letter.charCodeAt(0) - 97));
    assert.deepEqual(Uint8Array.from(await openKeystore(keystore, `${letters.join('')}\u{1f511}`)), secret);
  });

  it('bound: files that are broken, forged or too dear to open are refused', async () => {
    const good = await createKeystore({ name: 'a', password: PASSWORD, scryptN: FAST });
    assert(good.crypto.kdf.function === 'scrypt');
    const withKdf = (params: object): unknown => ({
      ...good,
      crypto: { ...good.crypto, kdf: { ...good.crypto.kdf, params: { ...good.crypto.kdf.params, ...params } } },
    });
    const bad: unknown[] = [
      null,
      [],
      {},
      { ...good, version: 3 },
      { ...good, pubkey: 'ab' },
      withKdf({ n: 2 ** 24 }),
      withKdf({ n: 1000 }),
      withKdf({ n: 2 ** 20 }),
      withKdf({ n: 2 ** 20, p: 16 }),
      withKdf({ n: 2, r: 33 }),
      withKdf({ n: 2, p: 17 }),
      { ...good, devnet_only: false },
      withKdf({ dklen: 16 }),
    ];
    for (const value of bad)
      await assert.rejects(parseKeystore(JSON.stringify(value)), code('KEY_FILE'), JSON.stringify(value));
    await assert.rejects(parseKeystore('{'), code('KEY_FILE'));
    await assert.rejects(parseKeystore(' '.repeat(20_000)), code('KEY_FILE'));
    const cipher = { ...good.crypto.cipher, params: { iv: 'ab' } };
    await assert.rejects(openKeystore({ ...good, crypto: { ...good.crypto, cipher } }, PASSWORD), code('KEY_FILE'));
    const other = await createKeystore({ name: 'b', password: PASSWORD, scryptN: FAST });
    await assert.rejects(openKeystore({ ...good, pubkey: other.pubkey }, PASSWORD), code('KEY_FILE'));
  });

  it('imports nothing that a browser lacks', () => {
    const text = readFileSync(new URL('../../../src/wallet/keystore.ts', import.meta.url), 'utf8');
    assert(!/from '(node:|fs|path)/.test(text));
  });
});
