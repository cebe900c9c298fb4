import assert from 'node:assert/strict';
import { loadConfig, renderConfigToml } from '../../../src/config.ts';
import { addChain, addPeers } from '../../../src/config/add-to-config.ts';

describe('adding to config.toml', () => {
  const peers = ['/dns/a.example/tcp/1/p2p/12D3KooWa', '/dns/b.example/tcp/1/p2p/12D3KooWb'];

  it('adds what lacks, also where the line is commented out, and leaves the rest as it is', () => {
    const text = `# mine\n${renderConfigToml({ name: 'n1' })}`;
    const next = addChain(addPeers(text, peers) ?? '', 'ait-testnet') ?? '';
    const { name, chains, p2p } = loadConfig({ fileText: next });
    assert.deepEqual([name, chains, p2p.peers], ['n1', ['ait-devnet', 'ait-testnet'], peers]);
    assert.ok(next.startsWith('# mine\n'));
    assert.equal(addPeers(next, peers.slice(1)), next);
    assert.equal(addChain(next, 'ait-testnet'), next);
  });

  it('changes nothing where it finds no line of its own', () => {
    const text = '[p2p]\npeers = [\n  "/dns/a.example/tcp/1/p2p/12D3KooWa",\n]\n';
    assert.equal(addPeers(text, peers), null);
    assert.equal(addPeers(text, peers.slice(0, 1)), text);
    assert.equal(addChain(text, 'ait-testnet'), null);
  });
});
