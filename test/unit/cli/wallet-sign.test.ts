import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromHex } from '../../../src/bytes.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { formatLogin, loginNonce, verifyLogin } from '../../../src/sdk/login.ts';
import { createKeystore } from '../../../src/wallet/keystore.ts';
import { addressText, fixtureGenesis, genesisJson, seed } from '../../util/chain-fixture.ts';
import { cliHere } from './in-process.ts';
import type { Ended } from './run.ts';
import { makeFolder, removeFolder } from './run.ts';

const PASSWORD = 'correct horse';
const TIME_MS = 1_700_000_000_000;

describe('aitbc wallet sign, verify, login', () => {
  const { chain } = fixtureGenesis({ timeMs: TIME_MS });
  let home: string;

  before(async () => {
    home = makeFolder();
    mkdirSync(join(home, 'keystore'));
    mkdirSync(join(home, 'chains', 'ait-devnet'), { recursive: true });
    file('chains/ait-devnet/genesis.json', JSON.stringify(genesisJson({ timeMs: TIME_MS })));
    file('password', PASSWORD);
    for (const name of ['alice', 'bob']) {
      const made = await createKeystore({ name, seed: seed(name), password: PASSWORD, scryptN: 2 ** 10 });
      file(`keystore/${name}.json`, JSON.stringify(made));
    }
  });
  after(() => {
    removeFolder(home);
  });

  function file(name: string, content: string): string {
    const path = join(home, name);
    writeFileSync(path, content);
    return path;
  }
  const run = (verb: string, ...args: string[]): Promise<Ended> =>
    cliHere(['wallet', verb, ...args, '--password-file', join(home, 'password'), '--rpc', 'http://127.0.0.1:1'], {
      AITBC_HOME: home,
    });

  it('signs a text for the chain of this home, without a node; anyone verifies it', async () => {
    const signed = await run('sign', 'I am alice', '--from', 'alice');
    assert.equal(signed.code, 0, signed.stderr);
    assert.match(signed.stderr, /signs, for ait-devnet: I am alice/);
    const path = file('signed.json', signed.stdout);
    const verified = await run('verify', path, '--address', addressText('alice'));
    assert.equal(verified.code, 0, verified.stderr);
    assert.match(verified.stdout, /signed by +ait1\w+\nfor +ait-devnet, genesis [0-9a-f]{64}\nmessage +I am alice/);
    const other = await run('verify', path, '--address', addressText('bob'));
    assert.equal(other.code, 7);
    assert.match(other.stderr, /signed by ait1\w+, not by ait1\w+/);
    const forged = file('forged.json', signed.stdout.replace('I am alice', 'I am bob'));
    assert.equal((await run('verify', forged)).code, 7);
    assert.equal((await run('verify', path, '--chain', 'ait-testnet')).code, 7);
  });

  it('signs for a chain that is named with its genesis, and not for one that nobody knows', async () => {
    const hash = 'ab'.repeat(32);
    const args = ['hello', '--from', 'alice', '--chain', 'ait-mainnet'];
    const named = await run('sign', ...args, '--genesis-hash', hash);
    assert.equal(named.json.genesis_hash, hash, named.stderr);
    assert.equal((await run('sign', ...args)).code, 5);
    assert.equal((await run('sign', '--from', 'alice')).code, 2);
    assert.equal((await run('sign', 'a', '--file', 'b', '--from', 'alice')).code, 2);
  });

  it('logs in to a site whose name was shown', async () => {
    const nonce = loginNonce();
    const now = Date.now();
    const text = formatLogin({
      ...{ domain: 'market.example', address: addressText('bob'), statement: 'Hello.', nonce },
      ...{ uri: 'https://market.example/', chainId: 'ait-devnet', issuedAtMs: now, expiresAtMs: now + 60_000 },
    });
    const path = file('login', `${text}\n`);
    const asked = await run('login', path);
    assert.equal(asked.code, 2);
    assert.match(asked.stderr, /site +market\.example\nit says +Hello\.\naccount[^]*-y says yes/);
    const { code, json, stderr } = await run('login', path, '-y');
    assert.equal(code, 0, stderr);
    const login = { text: json.message, publicKey: fromHex(json.public_key), signature: fromHex(json.signature) };
    verifyLogin(login, { crypto: nativeCrypto, chain, domain: 'market.example', nonce, nowMs: Date.now() });
    assert.equal((await run('login', path, '-y', '--from', 'alice')).code, 2, 'another account');
    const old = file('old', formatLogin({ ...loginOf(nonce), issuedAtMs: now - 120_000, expiresAtMs: now - 60_000 }));
    const expired = await run('login', old, '-y');
    assert.equal(expired.code, 6);
    assert.match(expired.stderr, /expired at .*\n +ask the site for a new login text/);
    assert.equal((await run('login', file('none', 'hello'), '-y')).code, 6);
  });

  const loginOf = (nonce: string) => ({
    ...{ domain: 'market.example', address: addressText('bob'), statement: '', nonce },
    ...{ uri: 'https://market.example/', chainId: 'ait-devnet', issuedAtMs: 0, expiresAtMs: 1 },
  });
});
