import assert from 'node:assert/strict';
import { MAX_SERVED, ServerLoad } from '../../../src/net/request-server.ts';

function takeAll(load: ServerLoad, chainId: string): number {
  let taken = 0;
  while (load.take(chainId)) taken++;
  return taken;
}

describe('requests that a host serves at once', () => {
  it('are all for its only chain', () => {
    const load = new ServerLoad();
    assert.equal(takeAll(load, 'a'), MAX_SERVED);
    load.release('a');
    assert.equal(takeAll(load, 'a'), 1);
  });

  it('are shared in equal parts: what one chain serves takes nothing from another', () => {
    const load = new ServerLoad();
    load.chains = 3;
    const part = Math.floor(MAX_SERVED / 3);
    assert.equal(takeAll(load, 'a'), part);
    assert.equal(takeAll(load, 'b'), part);
    load.release('a');
    assert.equal(takeAll(load, 'b'), 0);
    assert.equal(takeAll(load, 'a'), 1);
  });
});
