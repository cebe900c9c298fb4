import assert from 'node:assert/strict';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { loadConfig } from '../../../src/config.ts';
import { writeKeyFile } from '../../../src/store/key-file.ts';
import { isEncrypted, readStoreKey, storeKeySource } from '../../../src/store/store-key.ts';
import { coded, filled, inFolder } from './fixtures.ts';

const storeOf = (env: Record<string, string> = {}): ReturnType<typeof loadConfig>['store'] => loadConfig({ env }).store;

describe('store key', () => {
  it('is needed on ait-mainnet, elsewhere when asked for, and nowhere when told so', () => {
    assert.equal(isEncrypted(storeOf(), 'ait-mainnet'), true);
    assert.equal(isEncrypted(storeOf(), 'ait-devnet'), false);
    assert.equal(isEncrypted(storeOf({ AITBC_STORE_ENCRYPT: 'on' }), 'ait-devnet'), true);
    assert.equal(isEncrypted(storeOf({ AITBC_STORE_ENCRYPT: 'off' }), 'ait-mainnet'), false);
    assert.throws(() => storeOf({ AITBC_STORE_ENCRYPT: 'yes' }), coded('CONFIG'));
    assert.throws(() => storeOf({ AITBC_STORE_ENCRYPTION_KEY_FILE: 'key' }), coded('CONFIG', /absolute/));
  });

  it('comes from the file of the configuration, else the credential of the service, else the usual place', () =>
    inFolder(async (folder) => {
      const credential = join(folder, 'aitbc-store-key');
      const env = { CREDENTIALS_DIRECTORY: folder };
      assert.equal(storeKeySource(storeOf(), '/usual', env).path, '/usual');
      await writeKeyFile(credential, filled(7));
      const source = storeKeySource(storeOf(), '/usual', env);
      assert.equal(source.path, credential);
      // As systemd leaves it where the service has a user of its own.
      await chmod(credential, 0o440);
      assert.deepEqual(await readStoreKey(source), filled(7));
      const named = storeOf({ AITBC_STORE_ENCRYPTION_KEY_FILE: credential });
      await assert.rejects(readStoreKey(storeKeySource(named, '/usual', env)), coded('KEY_FILE', /others/));
      assert.equal(storeKeySource(storeOf(), '/usual', {}).path, '/usual');
    }));

  it('is missed in words that say how to make it', () =>
    inFolder(async (folder) => {
      await mkdir(join(folder, 'empty'));
      await assert.rejects(readStoreKey({ path: join(folder, 'empty', 'key'), isCredential: false }), (error) => {
        assert.match((error as { hint: string }).hint, /init --encrypt/);
        return coded('KEY_FILE', /no such/)(error);
      });
    }));
});
