/** Funded accounts of a cluster: people to play with, one operator a validator, and any number for load. */
import { createHash } from 'node:crypto';
import { addressOf, formatAddress } from '../src/chain/address.ts';
import { pureHasher, publicKeyOf } from '../src/chain/crypto/pure.ts';
import { NodeError } from '../src/errors.ts';
import { isDevnet } from '../src/chain/genesis.ts';
import { accountKeyPath, ensureSeed } from './layout.ts';
import type { ManifestAccount } from './manifest.ts';

const UAIT = 1_000_000;

export const DEV_NAMES = ['alice', 'bob', 'carol'] as const;
export const DEV_BALANCE_UAIT = 1_000_000 * UAIT;
export const OPERATOR_BALANCE_UAIT = 10_000 * UAIT;
/** The least stake of every kind of chain, and as much for fees. */
export const MINER_STAKE_UAIT = 10_000 * UAIT;
export const MINER_BALANCE_UAIT = 2 * MINER_STAKE_UAIT;
export const LOAD_BALANCE_UAIT = 10_000 * UAIT;

/** Far below the supply's cap of 2^53 − 1 uait with every account funded. */
export const MAX_LOAD_ACCOUNTS = 100_000;

export function addressOfSeed(seed: Uint8Array): string {
  return formatAddress(addressOf(pureHasher, publicKeyOf(seed)));
}

export function operatorName(index: number): string {
  return `op${index}`;
}

/** Pays for jobs of programs that have no wallet: see testnet.json's `gateway`. */
export const GATEWAY_NAME = 'gateway';
export const GATEWAY_BALANCE_UAIT = 10_000 * UAIT;

/** The first node gives of it to whoever asks. */
export const FAUCET_NAME = 'faucet';

export function minerName(index: number): string {
  return `m${index}`;
}

/**
 * Keys and genesis balances of the named accounts. Off devnets only operators are made, and their key files are not
 * named in the manifest.
 */
export function namedAccounts(dataDir: string, chainId: string, validators: number, miners: number): ManifestAccount[] {
  const devnet = isDevnet(chainId);
  const account = (name: string, balanceUait: number): ManifestAccount => {
    const path = accountKeyPath(dataDir, name);
    const address = addressOfSeed(ensureSeed(path));
    return { name, address, balance_uait: String(balanceUait), key_file: devnet ? path : null };
  };
  const people = devnet ? DEV_NAMES.map((name) => account(name, DEV_BALANCE_UAIT)) : [];
  const operators = Array.from({ length: validators }, (_, i) => account(operatorName(i + 1), OPERATOR_BALANCE_UAIT));
  const mining = Array.from({ length: miners }, (_, i) => account(minerName(i + 1), MINER_BALANCE_UAIT));
  const gateway = devnet && miners > 0 ? [account(GATEWAY_NAME, GATEWAY_BALANCE_UAIT)] : [];
  const faucet = devnet ? [account(FAUCET_NAME, DEV_BALANCE_UAIT)] : [];
  return [...people, ...operators, ...mining, ...gateway, ...faucet];
}

/** Seed of load account `index` (from 0): SHA-256(load seed ‖ u32 index). */
export function loadAccountSeed(loadSeed: Uint8Array, index: number): Uint8Array {
  const suffix = new Uint8Array(4);
  new DataView(suffix.buffer).setUint32(0, index);
  return new Uint8Array(createHash('sha256').update(loadSeed).update(suffix).digest());
}

/** @throws NodeError DEV_KEY off devnets, USAGE for a count out of range */
export function checkLoadAccounts(chainId: string, count: number): void {
  if (count > 0 && !isDevnet(chainId)) {
    throw new NodeError('DEV_KEY', `funded development accounts are refused on ${chainId}`, {
      hint: 'use a chain whose id ends in -devnet',
    });
  }
  if (!Number.isInteger(count) || count < 0 || count > MAX_LOAD_ACCOUNTS) {
    throw new NodeError('USAGE', `--accounts takes 0 to ${MAX_LOAD_ACCOUNTS}`);
  }
}
