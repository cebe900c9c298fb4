import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import { addressOf, formatAddress } from '../../../src/chain/address.ts';
import { publicKeyOf } from '../../../src/chain/crypto/pure.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { createKeystore, openKeystore, parseKeystore } from '../../../src/wallet/keystore.ts';
import { seedOfMnemonic } from '../../../src/wallet/mnemonic.ts';
import { addressText, seed } from '../../util/chain-fixture.ts';
import { cliHere } from './in-process.ts';
import type { Ended, Env } from './run.ts';
import { makeFolder, removeFolder } from './run.ts';

const PASSWORD = 'correct horse';
const FAST = 2 ** 10;
const ABANDON = `${'abandon '.repeat(23)}art`;

describe('aitbc wallet', () => {
  let home: string;
  let keystore: string;

  beforeEach(() => {
    home = makeFolder();
    keystore = join(home, 'keystore');
    mkdirSync(keystore);
  });
  afterEach(() => {
    removeFolder(home);
  });

  const run = (args: readonly string[], env: Env = {}): Promise<Ended> => cliHere(args, { AITBC_HOME: home, ...env });

  function file(name: string, content: string): string {
    const path = join(home, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }
  const passwordFile = (password = PASSWORD): string => file(`password of ${password}`, `${password}\nmore\n`);

  /** A wallet that is quick to open. */
  async function place(name: string, devnetOnly = false, password = PASSWORD): Promise<string> {
    const path = join(keystore, `${name}.json`);
    const made = await createKeystore({ name, seed: seed(name), password, devnetOnly, scryptN: FAST });
    writeFileSync(path, JSON.stringify(made), { mode: 0o600 });
    return path;
  }

  it('create writes the words into a file of their own, and they rebuild the key', async () => {
    const words = join(home, 'words');
    const args = ['wallet', 'create', 'mine', '--password-file', passwordFile(), '--words-file', words];
    const made = await run([...args, '--json']);
    assert.equal(made.code, 0, made.stderr);
    const phrase = readFileSync(words, 'utf8').trim();
    assert.equal(phrase.split(' ').length, 24);
    assert.equal(statSync(words).mode & 0o777, 0o600);
    assert(!`${made.stdout}${made.stderr}`.includes(phrase.slice(0, 20)), 'words are on no stream');
    const key = await seedOfMnemonic(phrase);
    assert.equal(made.json.address, formatAddress(addressOf(nativeCrypto, publicKeyOf(key))));
    assert.match(made.json.derivation_path, /^m\/44'/);
    const again = await run(['wallet', 'create', 'other', '--password-file', passwordFile(), '--words-file', words]);
    assert.equal(again.code, 10, 'words of a wallet are not overwritten');
    assert.deepEqual(readdirSync(keystore), ['mine.json']);
  });

  it('create without a terminal names the option that takes the words', async () => {
    for (const more of [[], ['-y']]) {
      const { code, stderr } = await run(['wallet', 'create', 'a', '--password-file', passwordFile(), ...more]);
      assert.equal(code, 2);
      assert.match(stderr, /--words-file FILE/);
    }
    assert.deepEqual(readdirSync(keystore), []);
  });

  it('import takes words, and makes a development wallet of those that are publicly known', async () => {
    const words = file('words', `${ABANDON}\n`);
    const args = ['wallet', 'import', 'known', words, '--password-file', passwordFile(), '--account', '1'];
    const refused = await run([...args, '--any-chain']);
    assert.equal(refused.code, 10, refused.stderr);
    assert.match(refused.stderr, /publicly known.*DEV_KEY/);
    const taken = await run([...args, '--json']);
    assert.equal(taken.code, 0, taken.stderr);
    assert.equal(taken.json.devnet_only, true);
    const key = publicKeyOf(await seedOfMnemonic(ABANDON, 1));
    assert.equal(taken.json.public_key, toHex(key));
  });

  it('import takes a key in hex for development chains, from a file', async () => {
    const key = file('key', `${toHex(seed('account-0'))}\n`);
    const taken = await run(['wallet', 'import', 'dev', key, '--password-file', passwordFile(), '--json']);
    assert.equal(taken.code, 0, taken.stderr);
    assert.equal(taken.json.address, addressText('account-0'));
    assert.equal(taken.json.devnet_only, true);
    assert.match(taken.stderr, /development chains only/);
    assert(!readFileSync(taken.json.path, 'utf8').includes(toHex(seed('account-0'))));
  });

  it('import takes a wallet file of someone else, whose cost becomes ours', async () => {
    const source = await place('theirs');
    const elsewhere = file('theirs.json', readFileSync(source, 'utf8'));
    const taken = await run(['wallet', 'import', 'copy', elsewhere, '--password-file', passwordFile(), '--json']);
    assert.equal(taken.code, 0, taken.stderr);
    assert.match(taken.stderr, /"theirs" has the same key/);
    assert.equal(JSON.parse(readFileSync(taken.json.path, 'utf8')).crypto.kdf.params.n, 2 ** 17);
    assert.equal(taken.json.devnet_only, false);
  });

  const wrong: readonly (readonly [string, string, number, RegExp])[] = [
    ['too few words', 'abandon art', 2, /12, 15, 18, 21 or 24 words, this one 2.*BAD_MNEMONIC/],
    ['a word that is none', ABANDON.replace('art', 'sesame'), 2, /word 24 is not in the list/],
    ['words in another order', ABANDON.replace('abandon art', 'art abandon'), 2, /checksum/],
    ['something else', 'hello', 3, /neither words, nor a key in hex, nor a wallet file/],
    ['a broken wallet file', '{"version":4', 3, /not JSON/],
    ['a wallet file of other tools', '{"version":3,"crypto":{}}', 3, /EIP-2335/],
    ['a large file', ' '.repeat(20_000), 3, /too large/],
  ];
  it('import says what is wrong with what it is given, without repeating it', async () => {
    for (const [what, content, exit, message] of wrong) {
      const args = ['wallet', 'import', 'x', file('given', content), '--password-file', passwordFile()];
      const { code, stderr } = await run(args);
      assert.equal(code, exit, what);
      assert.match(stderr, message, what);
      assert(!stderr.includes('sesame'), what);
    }
    assert.deepEqual(readdirSync(keystore), []);
  });

  it('bound: a wallet file that asks for more memory than any honest one is refused before the work', async () => {
    const made = JSON.parse(readFileSync(await place('a'), 'utf8'));
    made.crypto.kdf.params.n = 2 ** 20;
    const { code, stderr } = await run(['wallet', 'import', 'x', file('dear', JSON.stringify(made))]);
    assert.equal(code, 3);
    assert.match(stderr, /scrypt parameters are out of range/);
  });

  it('one that is damaged is named with what to do, and stops no other', async () => {
    await place('good');
    writeFileSync(join(keystore, 'bad.json'), '{"crypto":{}}');
    const { code, stderr } = await run(['wallet', 'show', 'bad']);
    assert.equal(code, 3);
    assert.match(stderr, /bad\.json is damaged.*KEY_FILE\]\n +put your copy .*wallet import/);
    const listed = await run(['wallet', 'list', '--json']);
    assert.deepEqual(
      listed.json.wallets.map(({ name }: { name: string }) => name),
      ['good'],
    );
  });

  it('use chooses the one that signs; rename and remove keep that right', async () => {
    await place('a');
    await place('b');
    const unsure = await run(['wallet', 'show']);
    assert.equal(unsure.code, 2);
    assert.match(unsure.stderr, /which wallet.*\n +--from a \| b; aitbc wallet use NAME/);
    assert.equal((await run(['wallet', 'use', 'nobody'])).code, 4);
    assert.equal((await run(['wallet', 'use', 'b'])).code, 0);
    assert.equal((await run(['wallet', 'rename', 'b', 'a'])).code, 10);
    assert.equal((await run(['wallet', 'rename', 'b', 'c'])).code, 0);
    const shown = await run(['wallet', 'show', '--json']);
    assert.deepEqual([shown.json.name, shown.json.is_default], ['c', true]);
    assert.equal(shown.json.address, addressText('b'));
    const asked = await run(['wallet', 'remove', 'c']);
    assert.equal(asked.code, 2);
    assert.match(asked.stderr, /-y says yes/);
    assert.equal((await run(['wallet', 'remove', 'c', '-y'])).code, 0);
    assert.deepEqual(readdirSync(keystore), ['a.json']);
    assert.equal((await run(['wallet', 'show', '--json'])).json.name, 'a');
  });

  it('export copies only what the password opens, and asks before it writes a bare key', async () => {
    await place('a', true);
    const copy = join(home, 'copy.json');
    const wrongOne = await run(['wallet', 'export', 'a', copy, '--password-file', passwordFile('wrong horse')]);
    assert.equal(wrongOne.code, 6);
    assert.match(wrongOne.stderr, /WRONG_PASSWORD\]\n +try again/);
    assert(!existsSync(copy));
    const credentials = join(home, 'credentials');
    mkdirSync(credentials);
    writeFileSync(join(credentials, 'aitbc-wallet-password'), `${PASSWORD}\n`);
    const env = { CREDENTIALS_DIRECTORY: credentials };
    const exported = await run(['wallet', 'export', 'a', copy], env);
    assert.equal(exported.code, 0, exported.stderr);
    assert.equal(statSync(copy).mode & 0o777, 0o600);
    assert.equal(JSON.parse(readFileSync(copy, 'utf8')).devnet_only, true, 'marks stay');
    assert.equal((await run(['wallet', 'export', 'a', copy], env)).code, 10);
    const raw = join(home, 'raw');
    assert.equal((await run(['wallet', 'export', 'a', raw, '--raw-key'], env)).code, 2, 'asks first');
    assert.equal((await run(['wallet', 'export', 'a', raw, '--raw-key', '-y'], env)).code, 0);
    assert.equal(readFileSync(raw, 'utf8').trim(), toHex(seed('a')));
  });

  it('passwd changes the password and nothing else', async () => {
    const path = await place('a', true);
    const before = JSON.parse(readFileSync(path, 'utf8'));
    const [old, next] = [passwordFile(), passwordFile('another horse')];
    const passwd = ['wallet', 'passwd', 'a', '--password-file'];
    assert.equal((await run([...passwd, old, '--new-password-file', passwordFile('short')])).code, 2);
    assert.equal((await run([...passwd, next, '--new-password-file', next])).code, 6);
    assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), before);
    const changed = await run([...passwd, old, '--new-password-file', next]);
    assert.equal(changed.code, 0, changed.stderr);
    const after = await parseKeystore(readFileSync(path, 'utf8'));
    assert.deepEqual([after.pubkey, after.devnet_only], [before.pubkey, true]);
    assert.deepEqual(Uint8Array.from(await openKeystore(after, 'another horse')), seed('a'));
  });

  it('lie where --wallet-dir or AITBC_WALLET_DIR says', async () => {
    await place('a');
    const elsewhere = join(home, 'elsewhere');
    assert.deepEqual((await run(['wallet', 'list', '--json', '--wallet-dir', elsewhere])).json, { wallets: [] });
    const other = await run(['wallet', 'list', '--json', '--home', elsewhere], { AITBC_WALLET_DIR: keystore });
    assert.equal(other.json.wallets.length, 1);
  });
});
