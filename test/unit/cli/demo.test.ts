import assert from 'node:assert/strict';
import { cli } from './run.ts';

describe('aitbc demo', () => {
  it('hands its options to the program in the repository, and gives its exit code back', async () => {
    const { code, stderr } = await cli(['demo', 'failover', '--no-timing', '--loopback', '--cut-s', '1']);
    assert.equal(code, 2);
    assert.match(stderr, /--cut-s takes a whole number from 2/);
  });
});
