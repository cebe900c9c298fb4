import assert from 'node:assert/strict';
import { STATUS_LINE_MS, startStatusLines } from '../../../src/node/status-line.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { collectLines } from '../../util/log-lines.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';

describe('status lines', () => {
  it('say every ten seconds how each chain is, and nothing after their end', () => {
    const clock = manualClock();
    const { log, lines } = collectLines();
    const node = new FakeNode();
    const end = startStatusLines(fakeNode(node, new FakeNode({ chainId: 'ait-testnet' })), clock, log);
    clock.advance(STATUS_LINE_MS - 1);
    assert.equal(lines.length, 0);
    clock.advance(1);
    assert.deepEqual(
      lines.map(({ msg, level, chain }) => [msg, level, chain]),
      [
        ['status', 'info', 'ait-devnet'],
        ['status', 'info', 'ait-testnet'],
      ],
    );
    const [line] = lines;
    assert.deepEqual(
      [line?.['height'], line?.['blocks'], line?.['peers'], line?.['pending'], line?.['state']],
      [node.chain.tip().height, 0, node.peers().length, node.pool.size, node.status().state],
    );
    clock.advance(2 * STATUS_LINE_MS);
    assert.equal(lines.length, 6);
    end();
    clock.advance(STATUS_LINE_MS);
    assert.equal(lines.length, 6);
  });
});
