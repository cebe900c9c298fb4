import assert from 'node:assert/strict';
import { Claims, FOLLOW_UP_RATE, INQUIRY_MS, MAX_CLAIMS, MAX_FOLLOW_UPS } from '../../../src/sync/claims.ts';

describe('claims of peers', () => {
  it('lead as far as they hold every block on the way', () => {
    const claims = new Claims();
    claims.add('old', { baseHeight: 1, height: 100 });
    claims.add('young', { baseHeight: 90, height: 300 });
    claims.add('far', { baseHeight: 400, height: 500 });
    assert.equal(claims.target(0), 300);
    assert.deepEqual(claims.holders(95), ['old', 'young']);
    assert.deepEqual(claims.holders(50), ['old']);
    assert.equal(claims.target(399), 500);
  });

  it('only rise, whatever order answers come in', () => {
    const claims = new Claims();
    claims.add('p', { baseHeight: 5, height: 20 });
    claims.add('p', { baseHeight: 1, height: 10 });
    assert.deepEqual(claims.above(0), [{ baseHeight: 5, height: 20 }]);
  });

  it('a shelved claim is looked into again, at most once in a while', () => {
    const claims = new Claims();
    claims.add('p', { baseHeight: 1, height: 20 });
    claims.shelve('p');
    assert.equal(claims.target(0), 0);
    assert.deepEqual(claims.takeDue(0, 1_000), { peers: ['p'], later: false });
    assert.ok(claims.addRumour('p', 30));
    assert.deepEqual(claims.takeDue(0, 1_000 + INQUIRY_MS - 1), { peers: [], later: true });
    assert.deepEqual(claims.takeDue(0, 1_000 + INQUIRY_MS), { peers: ['p'], later: false });
  });

  it('who held the newest block is asked again at once, for a while, and few at a time', () => {
    const claims = new Claims();
    claims.add('p', { baseHeight: 1, height: 20 });
    for (let i = 0; i < FOLLOW_UP_RATE.capacity; i++) assert.deepEqual(claims.takeFollowUps(20, 0), ['p']);
    assert.deepEqual(claims.takeFollowUps(20, 0), []);
    assert.deepEqual(claims.takeFollowUps(20, 1_000 / FOLLOW_UP_RATE.refillPerSecond), ['p']);
    assert.deepEqual(claims.takeFollowUps(21, 60_000), []);
    for (let i = 0; i < 2 * MAX_FOLLOW_UPS; i++) claims.add(`q${i}`, { baseHeight: 1, height: 30 });
    assert.equal(claims.takeFollowUps(30, 60_000).length, MAX_FOLLOW_UPS);
  });

  it(`bound: ${MAX_CLAIMS} claims and as many rumours`, () => {
    const claims = new Claims();
    for (let i = 0; i < MAX_CLAIMS; i++) claims.add(`p${i}`, { baseHeight: 1, height: 5 });
    claims.add('late', { baseHeight: 1, height: 5 });
    assert.equal(claims.holders(5).length, MAX_CLAIMS);
    for (let i = 0; i < MAX_CLAIMS; i++) assert.ok(claims.addRumour(`r${i}`, 9));
    assert.ok(!claims.addRumour('late', 9));
    claims.retain(new Set(['p1']));
    assert.deepEqual(claims.holders(5), ['p1']);
    assert.ok(claims.addRumour('late', 9));
  });
});
