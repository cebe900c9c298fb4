import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'smol-toml';
import { pureCrypto } from '../../../src/chain/crypto/pure.ts';
import { parseGenesis } from '../../../src/chain/genesis.ts';
import { isNodeError } from '../../../src/errors.ts';
import { Cluster } from '../../../testnet/cluster.ts';
import { createCluster } from '../../../testnet/create.ts';
import { nodeLayout, readSeed } from '../../../testnet/layout.ts';
import { manifestLine, readManifest, writeManifest } from '../../../testnet/manifest.ts';

const code =
  (expected: string) =>
  (error: unknown): boolean =>
    isNodeError(error) && error.code === expected;

describe('testnet folder', () => {
  let dataDir: string;
  beforeEach(() => {
    dataDir = mkdtempSync(join(tmpdir(), 'aitbc-testnet-'));
  });
  afterEach(() => {
    rmSync(dataDir, { recursive: true, force: true });
  });

  it('holds what the contract says', async () => {
    const manifest = await createCluster({ dataDir, chainId: 'ait-devnet', validators: 3, basePort: 26000 });
    assert.deepEqual(
      manifest.nodes.map(({ name, rpc }) => [name, rpc]),
      [
        ['n1', 'http://127.0.0.1:26001'],
        ['n2', 'http://127.0.0.1:26011'],
        ['n3', 'http://127.0.0.1:26021'],
      ],
    );
    assert.deepEqual(
      manifest.accounts.map(({ name }) => name),
      ['alice', 'bob', 'carol', 'op1', 'op2', 'op3', 'faucet'],
    );
    assert.equal(manifest.quorum, 2);
    assert.equal(readFileSync(join(dataDir, 'testnet.json'), 'utf8'), `${manifestLine(manifest)}\n`);
    for (const { key_file } of manifest.accounts) {
      assert.ok(key_file);
      assert.equal(statSync(key_file).mode & 0o777, 0o600);
      assert.equal(readSeed(key_file).length, 32);
    }
    for (const node of manifest.nodes) {
      const layout = nodeLayout(node.home, 'ait-devnet');
      for (const path of [layout.nodeKey, layout.validatorKey]) assert.equal(statSync(path).mode & 0o777, 0o600);
      const genesis = parseGenesis(pureCrypto, JSON.parse(readFileSync(layout.genesis, 'utf8')));
      assert.equal(Buffer.from(genesis.chain.genesisHash).toString('hex'), manifest.genesis_hash);
      const config = parse(readFileSync(layout.config, 'utf8')) as { p2p: { peers: string[] } };
      assert.equal(config.p2p.peers.length, 2);
    }
  });

  it('has miners that follow the chain, with accounts and ports of their own', async () => {
    const options = { dataDir, chainId: 'ait-devnet', validators: 2, miners: 2, basePort: 26000 };
    const manifest = await createCluster(options);
    assert.deepEqual(readManifest(dataDir), manifest);
    assert.deepEqual(
      manifest.miners?.map((miner) => Object.keys(miner)),
      Array(2).fill(['index', 'name', 'pid', 'state', 'home', 'address', 'models']),
    );
    for (const [i, { name, home, address }] of (manifest.miners ?? []).entries()) {
      const account = manifest.accounts.find((each) => each.name === name);
      assert.deepEqual([name, account?.address, account?.balance_uait], [`m${i + 1}`, address, '20000000000']);
      const layout = nodeLayout(home, 'ait-devnet');
      const config = parse(readFileSync(layout.config, 'utf8')) as {
        p2p: { peers: string[] };
        rpc: { listen: string };
        miner: { enabled: boolean; key_file: string };
      };
      assert.deepEqual([config.p2p.peers.length, config.rpc.listen], [2, `127.0.0.1:${26321 + 10 * i}`]);
      assert.deepEqual({ ...config.miner }, { enabled: true, key_file: account?.key_file });
      assert.equal(existsSync(layout.validatorKey), false);
    }
    const wallets = manifest.nodes.map(({ home }) => {
      const config = parse(readFileSync(nodeLayout(home, 'ait-devnet').config, 'utf8')) as { market?: object };
      return config.market && { ...config.market };
    });
    const gateway = manifest.accounts.find(({ name }) => name === 'gateway');
    assert.deepEqual(wallets, [{ key_file: gateway?.key_file }, {}]);
    await assert.rejects(Cluster.open({ ...options, miners: 1 }), code('DATA_FOLDER'));
    await assert.rejects(createCluster({ ...options, dataDir: join(dataDir, 'x'), miners: 17 }), code('USAGE'));
  });

  it('gives every node all its chains, each with keys and a genesis of its own', async () => {
    const options = { dataDir, chainId: 'ait-devnet', furtherChains: ['ait-testnet'], validators: 2 };
    const manifest = await createCluster(options);
    assert.deepEqual(readManifest(dataDir), manifest);
    const [further] = manifest.further_chains ?? [];
    assert.equal(further?.chain_id, 'ait-testnet');
    assert.notEqual(further.genesis_hash, manifest.genesis_hash);
    const keys = new Set<string>();
    for (const { home } of manifest.nodes) {
      for (const { chain_id, genesis_hash } of [manifest, further]) {
        const layout = nodeLayout(home, chain_id);
        const genesis = parseGenesis(pureCrypto, JSON.parse(readFileSync(layout.genesis, 'utf8')));
        assert.equal(Buffer.from(genesis.chain.genesisHash).toString('hex'), genesis_hash);
        keys.add(readFileSync(layout.validatorKey, 'utf8'));
        const config = parse(readFileSync(layout.config, 'utf8'));
        assert.deepEqual(config['chains'], ['ait-devnet', 'ait-testnet']);
      }
    }
    assert.equal(keys.size, 4);
    await assert.rejects(Cluster.open({ dataDir, chainId: 'ait-devnet', validators: 2 }), code('DATA_FOLDER'));
    assert.deepEqual((await Cluster.open(options)).manifest.further_chains, manifest.further_chains);
  });

  it('makes operators only off devnets, without naming their keys', async () => {
    const manifest = await createCluster({ dataDir, chainId: 'ait-testnet', validators: 2 });
    assert.deepEqual(
      manifest.accounts.map(({ name, key_file }) => [name, key_file]),
      [
        ['op1', null],
        ['op2', null],
      ],
    );
    await assert.rejects(
      createCluster({ dataDir: join(dataDir, 'x'), chainId: 'ait-testnet', validators: 1, loadAccounts: 5 }),
      code('DEV_KEY'),
    );
    await assert.rejects(createCluster({ dataDir: join(dataDir, 'y'), chainId: 'foo', validators: 1 }), code('USAGE'));
  });

  it('derives load accounts from one seed and lists none of them', async () => {
    const manifest = await createCluster({ dataDir, chainId: 'ait-devnet', validators: 1, loadAccounts: 20 });
    assert.equal(manifest.accounts.length, 5);
    const genesis = JSON.parse(readFileSync(join(dataDir, 'genesis.json'), 'utf8'));
    assert.equal(genesis.modules.bank.accounts.length, 25);
  });

  it('is taken up again only with the same options', async () => {
    const options = { dataDir, chainId: 'ait-devnet', validators: 2 };
    const first = await Cluster.open(options);
    const again = await Cluster.open(options);
    assert.deepEqual(again.manifest, first.manifest);
    await assert.rejects(Cluster.open({ ...options, validators: 3 }), code('DATA_FOLDER'));
    await assert.rejects(Cluster.open({ ...options, basePort: 26000 }), code('DATA_FOLDER'));
    await assert.rejects(Cluster.open({ ...options, chainId: 'other-devnet' }), code('DATA_FOLDER'));
  });

  it('runs no cluster until one is started', async () => {
    assert.throws(() => Cluster.attach(dataDir), code('CLUSTER_DOWN'));
    await Cluster.open({ dataDir, chainId: 'ait-devnet', validators: 1 });
    assert.throws(() => Cluster.attach(dataDir), code('CLUSTER_DOWN'));
  });

  it('with a process that is gone counts it as failed, never as running', async () => {
    const { manifest } = await Cluster.open({ dataDir, chainId: 'ait-devnet', validators: 2 });
    const [first] = manifest.nodes;
    assert.ok(first);
    writeManifest(dataDir, {
      ...manifest,
      nodes: manifest.nodes.map((node) => ({ ...node, pid: 1, state: 'running' as const })),
    });
    assert.throws(() => Cluster.attach(dataDir), code('CLUSTER_DOWN'));
    writeManifest(dataDir, {
      ...manifest,
      nodes: manifest.nodes.map((node) => ({ ...node, state: 'killed' as const })),
    });
    assert.deepEqual(
      Cluster.attach(dataDir).manifest.nodes.map(({ state, pid }) => [state, pid]),
      [
        ['killed', null],
        ['killed', null],
      ],
    );
  });

  it('with a file of another form is refused', () => {
    rmSync(join(dataDir, 'testnet.json'), { force: true });
    assert.equal(readManifest(dataDir), undefined);
    writeManifest(dataDir, { version: 2 } as never);
    assert.throws(() => readManifest(dataDir), code('DATA_FOLDER'));
  });
});
