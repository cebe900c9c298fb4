/** Making and signing transactions. What they are bound to and cost comes from a node's status. */
import type { Address, PublicKey } from '../bytes.ts';
import { fromHex, toHex } from '../bytes.ts';
import { addressOf } from '../chain/address.ts';
import type { Hasher, Signer } from '../chain/crypto/types.ts';
import { jsonAmount } from '../chain/json.ts';
import { transfer } from '../chain/modules/bank.ts';
import { agreementId } from '../chain/modules/compute/agreement.ts';
import type { TxType } from '../chain/modules/types.ts';
import { proposeChange, validatorKeySignBytes, voteChange } from '../chain/modules/validators.ts';
import type { Change } from '../chain/modules/validators-state.ts';
import type { ChainParams } from '../chain/params.ts';
import { leastFeeUait as leastFeeOfSize } from '../chain/params.ts';
import type { ChainContext } from '../chain/signing.ts';
import type { Transaction } from '../chain/tx.ts';
import { MIN_TX_BYTES, signTransaction } from '../chain/tx.ts';
import type { StatusResponse } from './types.ts';

/** Blocks a transaction waits for its turn before it is void. */
export const DEFAULT_VALIDITY_BLOCKS = 1000;

/** What every transaction of a chain needs. */
export interface SigningContext {
  readonly hasher: Hasher;
  readonly chain: ChainContext;
  readonly params: Pick<ChainParams, 'baseFeeUait' | 'feePerByteUait'>;
  readonly signer: Signer;
}

export interface TxOptions {
  readonly nonce: number;
  readonly validUntilHeight: number;
  /** The least fee when absent. */
  readonly feeUait?: number;
  /** Of this kind of transaction, where it is more than that of its size: `min_open_fee_uait` of the market. */
  readonly leastFeeUait?: number;
}

/** Chain, genesis and fees as a node reports them; check `chain_id` first when the node is not your own. */
export function chainOfStatus(status: StatusResponse): Pick<SigningContext, 'chain' | 'params'> {
  return {
    chain: { chainId: status.chain_id, genesisHash: fromHex(status.genesis_hash, 32) },
    params: {
      baseFeeUait: jsonAmount(status.params.base_fee_uait, 'base_fee_uait'),
      feePerByteUait: jsonAmount(status.params.fee_per_byte_uait, 'fee_per_byte_uait'),
    },
  };
}

export function buildTransfer(
  context: SigningContext,
  options: TxOptions & { readonly to: Address; readonly amountUait: number; readonly memo?: Uint8Array },
): Transaction {
  const { to, amountUait, memo = new Uint8Array() } = options;
  return buildTransaction(context, options, transfer, { to, amountUait, memo });
}

/** Proposes a change of the validator set; the sender must be the operator of a validator. */
export function buildProposal(context: SigningContext, options: TxOptions, change: Change): Transaction {
  return buildTransaction(context, options, proposeChange, change);
}

export function buildVote(context: SigningContext, options: TxOptions, proposal: number): Transaction {
  return buildTransaction(context, options, voteChange, { proposal });
}

/** Shows that whoever holds the validator key agrees to validate for this operator. */
export function validatorKeyProof(chain: ChainContext, validator: Signer, operator: Address): Uint8Array {
  return validator.sign(validatorKeySignBytes(chain, operator));
}

/** Id that the agreement will have which this key opens with this nonce; hex. */
export function agreementIdOf(hasher: Hasher, chain: ChainContext, client: PublicKey, nonce: number): string {
  return toHex(agreementId(hasher, chain, addressOf(hasher, client), nonce));
}

/** Any transaction: its type from the module that has it, e.g. `openAgreement`. */
export function buildTransaction<Payload>(
  { hasher, chain, params, signer }: SigningContext,
  { nonce, validUntilHeight, feeUait, leastFeeUait = 0 }: TxOptions,
  txType: TxType<Payload>,
  payload: Payload,
): Transaction {
  const bytes = txType.encode(payload);
  const least = Math.max(leastFeeOfSize(params, MIN_TX_BYTES + bytes.length), leastFeeUait);
  return signTransaction(hasher, chain, signer, {
    type: txType.type,
    nonce,
    feeUait: feeUait ?? least,
    validUntilHeight,
    payload: bytes,
  });
}
