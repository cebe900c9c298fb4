/** What holds for money once a miner that was cut off at a write has started again. */
import assert from 'node:assert/strict';
import { dueUait } from '../../../../src/chain/market/price.ts';
import type { TestClient } from './client.ts';
import type { World } from './world.ts';
import { PRICE, TICK_UAIT } from './world.ts';

/**
 * Starts it again, and lets its settlements come through.
 *
 * @param inputBytes of the job, which may be due on top of what the client received
 * @returns what the miner was paid
 */
export async function paidAfterCut(world: World, client: TestClient, inputBytes: number, at: string): Promise<number> {
  const receivedUait = client.dueUait();
  await world.settle();
  await world.restart();
  await world.settle();
  world.clock.advance(20_000);
  await world.settle();
  const paidUait = world.earnedUait(client.agreement);
  assert.ok(paidUait >= receivedUait, `${at}: the miner lost ${receivedUait - paidUait}`);
  assert.ok(paidUait <= client.creditUait, `${at}: above the vouchers`);
  const mostUait = receivedUait + TICK_UAIT + (receivedUait === 0 ? dueUait(PRICE, inputBytes, 0) : 0);
  assert.ok(paidUait <= mostUait, `${at}: ${paidUait} for ${receivedUait}`);
  return paidUait;
}
