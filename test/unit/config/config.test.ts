import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { MAX_CHAINS } from '../../../protocols/hello.ts';
import { loadConfig, renderConfigToml, resolveSettings, envName } from '../../../src/config.ts';
import { BLOCKED_PORTS } from '../../../src/config/blocked-ports.ts';
import { homeLayout, resolveHome } from '../../../src/config/home.ts';
import { OPTIONS } from '../../../src/config/options.ts';
import { NodeError } from '../../../src/errors.ts';

function configError(run: () => unknown): NodeError {
  try {
    run();
  } catch (error) {
    assert(error instanceof NodeError);
    assert.equal(error.code, 'CONFIG');
    return error;
  }
  assert.fail('expected an error');
}

const PEER = '/ip4/10.0.0.1/tcp/8005/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

describe('node options', () => {
  it('have defaults: loopback RPC, one P2P listener, journal on, signing on', () => {
    const config = loadConfig();
    assert.deepEqual(config.chains, ['ait-devnet']);
    assert.deepEqual(config.rpc.listen, { host: '127.0.0.1', port: 8006 });
    assert.deepEqual(config.metrics.listen, { host: '127.0.0.1', port: 9464 });
    assert.deepEqual(config.p2p.listen, ['/ip4/0.0.0.0/tcp/8005']);
    assert.equal(config.mempool.journal, true);
    assert.equal(config.consensus.sign, true);
    assert.equal(config.consensus.signAbove, null);
  });

  it('take a flag before the environment, that before the file, that before the default', () => {
    const fileText = 'name = "file"\n[rpc]\nlisten = "127.0.0.1:4"\n[mempool]\nmax_txs = 7\n[log]\nlevel = "warn"\n';
    const env = { AITBC_RPC_LISTEN: '127.0.0.1:2', AITBC_MEMPOOL_MAX_TXS: '8', PATH: '/bin', AITBC_HOME: '/x' };
    const config = loadConfig({ fileText, env, flags: { 'rpc.listen': '[::1]:3', name: undefined } });
    assert.deepEqual(config.rpc.listen, { host: '::1', port: 3 });
    assert.equal(config.mempool.maxTxs, 8);
    assert.equal(config.log.level, 'warn');
    assert.equal(config.name, 'file');
  });

  it('tell where each value came from', () => {
    const fileText = 'name = "file"\n[rpc]\nlisten = "127.0.0.1:4"\n[mempool]\nmax_txs = 7\n';
    const env = { AITBC_RPC_LISTEN: '127.0.0.1:2', AITBC_MEMPOOL_MAX_TXS: '8' };
    const settings = resolveSettings({ fileText, env, flags: { 'rpc.listen': '[::1]:3' } });
    assert.deepEqual(
      settings.map(({ path }) => path),
      Object.keys(OPTIONS),
    );
    const of = new Map<string, unknown>(settings.map(({ path, value, origin }) => [path, [value, origin]]));
    assert.deepEqual(of.get('rpc.listen'), ['[::1]:3', 'flag']);
    assert.deepEqual(of.get('mempool.max_txs'), [8, 'env']);
    assert.deepEqual(of.get('name'), ['file', 'file']);
    assert.deepEqual(of.get('mempool.journal'), [true, 'default']);
  });

  it('read lists, numbers and truth values from the environment', () => {
    const config = loadConfig({
      env: {
        AITBC_P2P_PEERS: JSON.stringify([PEER]),
        AITBC_P2P_LISTEN: '/ip4/127.0.0.1/tcp/0',
        AITBC_MEMPOOL_JOURNAL: 'false',
        AITBC_CONSENSUS_PROPOSE_MS: '1000',
        AITBC_METRICS_LISTEN: 'off',
      },
    });
    assert.deepEqual(config.p2p.peers, [PEER]);
    assert.deepEqual(config.p2p.listen, ['/ip4/127.0.0.1/tcp/0']);
    assert.equal(config.mempool.journal, false);
    assert.equal(config.consensus.proposeMs, 1000);
    assert.equal(config.metrics.listen, null);
  });

  it('refuse an unknown name and offer the nearest', () => {
    const inFile = configError(() => loadConfig({ fileText: '[rpc]\nlissten = "127.0.0.1:1"\n' }));
    assert.match(inFile.message, /rpc\.lissten in config\.toml/);
    assert.match(inFile.hint ?? '', /rpc\.listen/);
    const swapped = configError(() => loadConfig({ fileText: '[rcp]\nlisten = "127.0.0.1:1"\n' }));
    assert.match(swapped.hint ?? '', /rpc\.listen/);
    const inEnv = configError(() => loadConfig({ env: { AITBC_MEMPOL_MAX_TXS: '5' } }));
    assert.match(inEnv.hint ?? '', /AITBC_MEMPOOL_MAX_TXS/);
    configError(() => loadConfig({ fileText: '[__proto__]\nx = 1\n' }));
    configError(() => loadConfig({ fileText: 'constructor = 1\n' }));
  });

  const wrong: readonly (readonly [string, string])[] = [
    ['[rpc]\nlisten = 8006', 'rpc.listen'],
    ['[rpc]\nlisten = "8006"', 'rpc.listen'],
    ['[rpc]\nlisten = "127.0.0.1:70000"', 'rpc.listen'],
    ['[rpc]\nlisten = "127.0.0.1:10080"', 'rpc.listen'],
    ['[rpc]\ncors_origins = ["https://app.example/"]', 'rpc.cors_origins'],
    ['[rpc]\ncors_origins = ["app.example"]', 'rpc.cors_origins'],
    ['[rpc]\ncors_origins = ["null"]', 'rpc.cors_origins'],
    ['[rpc]\ntrusted_proxies = ["loopback"]', 'rpc.trusted_proxies'],
    ['[rpc]\ntrusted_proxies = ["10.0.0.0/0"]', 'rpc.trusted_proxies'],
    ['[rpc]\ntrusted_proxies = ["10.0.0.0/33"]', 'rpc.trusted_proxies'],
    ['[rpc]\nreads_per_s = -1', 'rpc.reads_per_s'],
    ['[p2p]\nlisten = "/ip4/0.0.0.0/tcp/1"', 'p2p.listen'],
    ['[p2p]\npeers = ["/ip4/10.0.0.1/tcp/8005"]', 'p2p.peers'],
    ['[p2p]\nlisten = ["10.0.0.1:8005"]', 'p2p.listen'],
    ['[mempool]\nmax_txs = 0', 'mempool.max_txs'],
    ['[mempool]\nmax_txs = 1.5', 'mempool.max_txs'],
    ['[mempool]\njournal = "yes"', 'mempool.journal'],
    ['[log]\nlevel = "loud"', 'log.level'],
    ['[log]\nformat = "xml"', 'log.format'],
    ['[consensus]\npropose_ms = 0', 'consensus.propose_ms'],
    ['chains = ["Main"]', 'chains'],
    ['chains = []', 'chains'],
    ['chains = ["ait-devnet", "ait-devnet"]', 'chains'],
    ['name = ""', 'name'],
    ['rpc = "127.0.0.1:8006"', 'rpc'],
  ];
  for (const [fileText, option] of wrong) {
    it(`refuse ${JSON.stringify(fileText)}`, () => {
      assert.match(
        configError(() => loadConfig({ fileText })).message,
        new RegExp(`\\b${option.replace('.', '\\.')}\\b`),
      );
    });
  }

  it('refuse those ports for the API that fetch does', async () => {
    for (const port of BLOCKED_PORTS) {
      // Refused before anything is dialled.
      const refusal = await fetch(`http://127.0.0.1:${port}/`).then(
        () => 'answered',
        (error: unknown) => (error as { cause?: Error }).cause?.message,
      );
      assert.equal(refusal, 'bad port', `port ${port}`);
    }
  });

  it('take one chain or a list of them, at most as many as a handshake names', () => {
    const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `net-${i}`);
    assert.deepEqual(loadConfig({ env: { AITBC_CHAINS: 'ait-testnet' } }).chains, ['ait-testnet']);
    assert.equal(loadConfig({ flags: { chains: ids(MAX_CHAINS) } }).chains.length, MAX_CHAINS);
    configError(() => loadConfig({ flags: { chains: ids(MAX_CHAINS + 1) } }));
    assert.match(configError(() => loadConfig({ fileText: 'chain = "ait-devnet"' })).hint ?? '', /chains/);
  });

  it('bound their lists', () => {
    const listen = (count: number): string[] => Array.from({ length: count }, () => '/ip4/127.0.0.1/tcp/0');
    assert.equal(loadConfig({ flags: { 'p2p.listen': listen(256) } }).p2p.listen.length, 256);
    configError(() => loadConfig({ flags: { 'p2p.listen': listen(257) } }));
  });

  it('name the line of broken TOML', () => {
    const error = configError(() => loadConfig({ fileText: 'name = "a"\nchain = ait-devnet\n' }));
    assert.equal(error.data['line'], 2);
  });

  it('take --sign-above from the command line only', () => {
    assert.equal(loadConfig({ flags: { 'consensus.sign_above': 12 } }).consensus.signAbove, 12);
    assert.match(configError(() => loadConfig({ fileText: '[consensus]\nsign_above = 1' })).hint ?? '', /--sign-above/);
    configError(() => loadConfig({ env: { AITBC_CONSENSUS_SIGN_ABOVE: '1' } }));
  });
});

describe('config.toml as written', () => {
  it('reads back as the same options', () => {
    const overrides = {
      name: 'n1',
      chains: ['ait-testnet', 'ait-devnet'],
      'p2p.peers': [PEER],
      'rpc.listen': '127.0.0.1:0',
      'rpc.cors_origins': ['*', 'https://app.example:8443'],
      'rpc.trusted_proxies': ['127.0.0.1', '10.0.0.0/8', 'fd00::/8'],
    };
    assert.deepEqual(loadConfig({ fileText: renderConfigToml(overrides) }), loadConfig({ flags: overrides }));
    assert.deepEqual(loadConfig({ fileText: renderConfigToml() }), loadConfig());
  });

  it('reads back as the defaults when every line is uncommented', () => {
    const fileText = renderConfigToml().replace(/^# ([a-z_]+ = )/gm, '$1');
    assert.deepEqual(loadConfig({ fileText }), loadConfig());
  });

  it('explains every option once', () => {
    const text = renderConfigToml();
    for (const [path, option] of Object.entries(OPTIONS)) {
      if ('flagOnly' in option) continue;
      const key = path.slice(path.indexOf('.') + 1);
      assert(text.includes(`# ${option.help}\n# ${key} = `), path);
      assert.match(envName(path as keyof typeof OPTIONS), /^AITBC_[A-Z0-9_]+$/);
    }
  });
});

describe('home folder', () => {
  it('is that of the flag, else AITBC_HOME, else the XDG data folder', () => {
    assert.equal(resolveHome('x/y', { AITBC_HOME: '/a' }), resolve('x/y'));
    assert.equal(resolveHome(undefined, { AITBC_HOME: '/a', XDG_DATA_HOME: '/d' }), '/a');
    assert.equal(resolveHome(undefined, { XDG_DATA_HOME: '/d' }), '/d/aitbc');
    assert.match(resolveHome(undefined, {}), /\.local\/share\/aitbc$/);
  });

  it('keeps what belongs to one chain in one folder', () => {
    const layout = homeLayout('/h', 'ait-devnet');
    assert.equal(layout.genesis, '/h/chains/ait-devnet/genesis.json');
    assert.equal(layout.validatorKey, '/h/chains/ait-devnet/validator_key');
    assert.equal(layout.nodeKey, '/h/identity/node_key');
  });
});
