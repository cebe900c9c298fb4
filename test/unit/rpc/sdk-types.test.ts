import assert from 'node:assert/strict';
import type { Static, TSchema } from 'typebox';
import * as jobSchemas from '../../../src/rpc/jobs/schemas.ts';
import * as schemas from '../../../src/rpc/schemas.ts';
import type * as jobs from '../../../src/sdk/job-types.ts';
import type * as market from '../../../src/sdk/market-types.ts';
import type * as sdk from '../../../src/sdk/types.ts';

/** Compiles only when all that the schema allows is what the SDK's type promises. */
const keeps =
  <Promised>() =>
  <S extends TSchema>(schema: Static<S> extends Promised ? S : never): void => {
    assert(schema);
  };

describe('the types of the SDK', () => {
  // The SDK cannot import the schemas: it knows nothing of the node.
  it('hold for every answer that its schema allows; the compiler checks it', () => {
    keeps<sdk.HeadResponse>()(schemas.Head);
    keeps<sdk.StatusResponse>()(schemas.Status);
    keeps<Omit<sdk.BlockResponse, 'transactions'>>()(schemas.Block);
    keeps<Omit<sdk.TransactionResponse, 'transaction'>>()(schemas.Transaction);
    keeps<Omit<sdk.TransactionPageResponse, 'items'>>()(schemas.TransactionPage);
    keeps<sdk.AccountResponse>()(schemas.Account);
    keeps<sdk.NonceResponse>()(schemas.Nonce);
    keeps<market.AgreementResponse>()(schemas.Agreement);
    keeps<market.StakeResponse>()(schemas.Stake);
    keeps<market.MarketParamsResponse>()(schemas.MarketParams);
    keeps<market.MinersResponse>()(schemas.Miners);
    keeps<readonly market.OfferResponse[]>()(schemas.Offers);
    keeps<market.MarketStatsResponse>()(schemas.MarketStats);
    keeps<market.BlobResponse>()(schemas.Blob);
    keeps<jobs.JobResponse>()(jobSchemas.Job);
    keeps<jobs.JobPageResponse>()(jobSchemas.JobPage);
    keeps<jobs.JobReasonsResponse>()(jobSchemas.JobReasonsView);
    keeps<Omit<jobs.JobResultResponse, 'receipt'>>()(jobSchemas.JobResult);
    keeps<sdk.StateValueResponse>()(schemas.StateValue);
    keeps<sdk.LightBlockResponse>()(schemas.LightBlock);
    keeps<Omit<sdk.ValidatorsResponse, 'proposals'>>()(schemas.Validators);
    keeps<sdk.ConsensusResponse>()(schemas.Consensus);
    keeps<sdk.PeersResponse>()(schemas.Peers);
    keeps<sdk.SnapshotsResponse>()(schemas.Snapshots);
    keeps<sdk.ChainsResponse>()(schemas.Chains);
  });
});
