import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { BLOCKED_PORTS } from '../../../src/config/blocked-ports.ts';
import { isNodeError } from '../../../src/errors.ts';
import { freePorts, HOST, isFree, portsFromBase, requireFree } from '../../../testnet/ports.ts';

describe('testnet ports', () => {
  it('follow the base port', () => {
    assert.deepEqual(portsFromBase(26000, 1), { p2p: 26000, rpc: 26001, metrics: 26002 });
    assert.deepEqual(portsFromBase(26000, 4), { p2p: 26030, rpc: 26031, metrics: 26032 });
    assert.throws(
      () => portsFromBase(65530, 2),
      (error) => isNodeError(error) && error.code === 'USAGE',
    );
  });

  it('are none that fetch refuses to dial', () => {
    assert.throws(
      () => portsFromBase(10_069, 2),
      (error) => isNodeError(error) && error.code === 'USAGE' && error.message.includes('10080'),
    );
    assert.deepEqual(portsFromBase(10_069, 1), { p2p: 10_069, rpc: 10_070, metrics: 10_071 });
  });

  it('are free, distinct and not among those taken', async () => {
    const taken = new Set<number>();
    for (let i = 0; i < 5; i++) {
      const ports = Object.values(await freePorts(taken)) as number[];
      for (const port of ports) {
        assert.ok(!taken.has(port));
        assert.ok(port > Math.max(...BLOCKED_PORTS));
        taken.add(port);
      }
    }
    assert.equal(taken.size, 15);
  });

  it('in use are named in the refusal', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
    const { port } = server.address() as AddressInfo;
    try {
      assert.equal(await isFree(port), false);
      await assert.rejects(
        requireFree([port]),
        (error) => isNodeError(error) && error.code === 'PORT_IN_USE' && error.message.includes(String(port)),
      );
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
    assert.equal(await isFree(port), true);
  });
});
