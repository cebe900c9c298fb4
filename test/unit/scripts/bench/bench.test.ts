import assert from 'node:assert/strict';
import { isNodeError } from '../../../../src/errors.ts';
import { parseBenchArgs } from '../../../../scripts/bench/args.ts';
import { atLeast, below, invariant, judge } from '../../../../scripts/bench/result.ts';

describe('bench arguments', () => {
  it('read a mode and options', () => {
    const args = parseBenchArgs('throughput --nodes 4 --seconds 10 --rate 500 --json --no-timing'.split(' '));
    assert.equal(args.mode, 'throughput');
    assert.deepEqual([args.nodes, args.seconds, args.rate, args.json, args.timing], [4, 10, 500, true, false]);
    assert.equal(parseBenchArgs(['finality']).timing, true);
  });

  it('refuse nonsense with exit code 2', () => {
    for (const argv of [[], ['speed'], ['finality', 'catchup'], ['finality', '--nodes', '0'], ['finality', '--what']]) {
      assert.throws(
        () => parseBenchArgs(argv),
        (error) => isNodeError(error) && error.kind.exit === 2,
      );
    }
  });
});

describe('bench verdict', () => {
  it('needs every bar met', () => {
    assert.equal(judge([below('a', 1, 2, ' ms'), atLeast('b', 3, 3, '/s'), invariant('c', true)], true), true);
    assert.equal(judge([below('a', 2, 2, ' ms')], true), false);
    assert.equal(judge([below('a', null, 2, ' ms')], true), false);
    assert.equal(judge([atLeast('b', 2.9, 3, '/s')], true), false);
  });

  it('without timing is decided by invariants only', () => {
    assert.equal(judge([below('a', 9, 2, ' ms'), invariant('c', true)], false), true);
    assert.equal(judge([below('a', 1, 2, ' ms'), invariant('c', false)], false), false);
  });
});
