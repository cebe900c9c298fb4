/** What a payer reads of the chain: from a light client whatever the chain proves, else from a node that is believed. */
import type { Address, Hash } from '../bytes.ts';
import { fromHex, toHex } from '../bytes.ts';
import { formatAddress, parseAddress } from '../chain/address.ts';
import { jsonAmount } from '../chain/json.ts';
import type { Agreement, AgreementState } from '../chain/modules/compute/agreement.ts';
import { getAgreement } from '../chain/modules/compute/agreement.ts';
import type { ComputeParams } from '../chain/modules/compute/params.ts';
import { computeParamsFromJson, getComputeParams } from '../chain/modules/compute/params.ts';
import { getStake } from '../chain/modules/compute/stake.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { Client } from './client.ts';
import type { LightClient } from './light-client.ts';
import type { AgreementResponse } from './market-types.ts';

export interface MarketReads {
  terms(): Promise<ComputeParams>;
  balanceUait(account: Address): Promise<number>;
  stakedUait(miner: Address): Promise<number>;
  /** null: never opened, or closed long ago. */
  agreement(id: Hash): Promise<Agreement | null>;
  /** Before the first block height 0, and the time of the genesis. */
  head(): Promise<{ readonly height: number; readonly timeMs: number }>;
  /** Height of a final transaction that did what it was for; null while it is not proven to be. */
  done(id: Hash): Promise<number | null>;
}

export type ReadsClient = Pick<
  Client,
  'account' | 'agreement' | 'genesis' | 'head' | 'marketParams' | 'stake' | 'transaction'
>;

/** @param light null: the node is believed. All reject with the NodeError of the node or of the light client */
export function createMarketReads(client: ReadsClient, light: LightClient | null): MarketReads {
  return light ? provenReads(light) : believedReads(client);
}

function provenReads(light: LightClient): MarketReads {
  return {
    terms: async () => (await light.read(getComputeParams)).result,
    balanceUait: async (account) => (await light.account(account)).account.balanceUait,
    stakedUait: async (miner) => (await light.read((state) => getStake(state, miner))).result.stakedUait,
    agreement: async (id) => (await light.read((state) => getAgreement(state, id))).result ?? null,
    head: async () => {
      const { height, timeMs } = await light.update();
      return { height, timeMs };
    },
    done: async (id) => {
      const found = await light.transaction(id);
      return 'unproven' in found || found.receipt.code !== 0 ? null : found.height;
    },
  };
}

function believedReads(client: ReadsClient): MarketReads {
  return {
    terms: async () => computeParamsFromJson({ ...(await client.marketParams()) }),
    balanceUait: async (account) =>
      jsonAmount((await client.account(formatAddress(account))).balance_uait, 'balance_uait'),
    stakedUait: async (miner) => jsonAmount((await client.stake(formatAddress(miner))).staked_uait, 'staked_uait'),
    agreement: async (id) => {
      const answer = await unlessNotFound(client.agreement(toHex(id)));
      return answer && agreementOf(answer);
    },
    head: async () => {
      const head = await unlessNotFound(client.head());
      if (head) return { height: head.height, timeMs: timeOf(head.timestamp) };
      const { genesis } = await client.genesis();
      return { height: 0, timeMs: timeOf(new Date(Number((genesis as { time_ms?: unknown }).time_ms)).toISOString()) };
    },
    done: async (id) => {
      const { status, code, height } = await client.transaction(toHex(id));
      return status === 'final' && code === 0 ? height : null;
    },
  };
}

async function unlessNotFound<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (isNodeError(error) && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}

/** As the node tells it. @throws NodeError PARSE_ERROR | INVALID_PARAMS | BAD_ADDRESS */
export function agreementOf(answer: AgreementResponse): Agreement {
  return {
    client: parseAddress(answer.client),
    signer: fromHex(answer.signer, 32),
    miner: parseAddress(answer.miner),
    capUait: jsonAmount(answer.cap_uait, 'cap_uait'),
    paidUait: jsonAmount(answer.paid_uait, 'paid_uait'),
    expiresAtMs: timeOf(answer.expires_at),
    receiptsRoot: answer.receipts_root === null ? new Uint8Array(32) : fromHex(answer.receipts_root, 32),
    state: stateOf(answer),
  };
}

function stateOf({ state, closing_since, closed, refunded_uait }: AgreementResponse): AgreementState {
  if (state === 'open') return { name: 'open' };
  if (state === 'closing' && closing_since) {
    return { name: 'closing', sinceHeight: closing_since.height, sinceMs: timeOf(closing_since.time) };
  }
  if (state === 'closed' && closed) {
    const refundedUait = jsonAmount(refunded_uait, 'refunded_uait');
    return { name: 'closed', atHeight: closed.height, atMs: timeOf(closed.time), refundedUait };
  }
  throw new NodeError('PARSE_ERROR', 'the node tells an agreement that is in no state');
}

function timeOf(text: string): number {
  const timeMs = Date.parse(text);
  if (Number.isSafeInteger(timeMs)) return timeMs;
  throw new NodeError('PARSE_ERROR', 'the node tells a time that is none');
}
