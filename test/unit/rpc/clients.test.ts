import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addressKey, clientOf, isLoopback, OpenCounts, UNNAMED_PROXY } from '../../../src/rpc/clients.ts';

describe('clients', () => {
  it('are an IPv4 address, or the first 64 bits of an IPv6 one, however it is written', () => {
    for (const [address, key] of [
      ['203.0.113.5', '203.0.113.5'],
      ['::ffff:203.0.113.5', '203.0.113.5'],
      ['::FFFF:cb00:7105', '203.0.113.5'],
      ['2001:db8::1', '2001:db8:0:0'],
      ['2001:0DB8:0:0:ffff::', '2001:db8:0:0'],
      ['2001:db8:0:1::1', '2001:db8:0:1'],
      ['1:2:3:4:5:6:7:8', '1:2:3:4'],
      ['fe80::1%eth0', 'fe80:0:0:0'],
      ['::', '0:0:0:0'],
      ['1::', '1:0:0:0'],
      ['nonsense', 'unknown'],
      ['', 'unknown'],
    ] as const) {
      assert.equal(addressKey(address), key, address);
    }
    fc.assert(
      fc.property(fc.ipV6(), fc.string(), (address, other) => {
        assert.match(addressKey(address), /^[0-9a-f]{1,4}(:[0-9a-f]{1,4}){3}$|^\d+(\.\d+){3}$/);
        assert.equal(typeof addressKey(other), 'string');
      }),
    );
  });

  it('of this machine are those of loopback that no proxy sends', () => {
    for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
      assert(isLoopback(address), address);
      assert(clientOf({ address, headers: {} }).isLocal, address);
      for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip']) {
        const headers = { [name]: '' };
        assert.equal(clientOf({ address, headers }), UNNAMED_PROXY, name);
        assert.deepEqual(clientOf({ address, headers, isRelayed: true }), { key: addressKey(address), isLocal: false });
      }
    }
    for (const address of ['128.0.0.1', '::2', '10.0.0.1', 'localhost', '', undefined]) {
      assert(!clientOf({ address, headers: {} }).isLocal, String(address));
    }
  });

  it('bound: hold so much open each; who holds nothing is forgotten', () => {
    const counts = new OpenCounts(2);
    const [a, b] = ['a', 'b'].map((key) => ({ key, isLocal: false })) as [typeof UNNAMED_PROXY, typeof UNNAMED_PROXY];
    for (const client of [a, a, b]) counts.open(client);
    assert(!counts.hasRoom(a));
    assert(counts.hasRoom(b));
    assert(counts.hasRoom({ ...a, isLocal: true }));
    for (const client of [a, a, b]) counts.close(client);
    assert(counts.hasRoom(a));
    assert.equal(counts.size, 0);
  });
});
