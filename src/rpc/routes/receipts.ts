/** Receipts of jobs that this node paid for. */
import Type from 'typebox';
import { fromHex, toHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import type { NodeApi } from '../api.ts';
import { chainQuery, hash, ofChain, strict } from '../app.ts';
import { placeOf } from '../jobs/anchored.ts';
import type { JobDesks } from '../jobs/desk.ts';
import { listFields, listJobs } from '../jobs/listing.ts';
import { JobReceipt, ReceiptPage, WorkProof } from '../jobs/schemas.ts';
import { proofView, receiptView } from '../jobs/views.ts';
import type { Operation } from '../operation.ts';
import { fresh, operation } from '../operation.ts';
import { pageLimit } from '../paging.ts';
import { OF_JOBS } from './jobs.ts';

export function receiptOperations(node: NodeApi, desks: JobDesks): Operation[] {
  return [
    operation({
      methods: [],
      verb: 'GET',
      path: '/v1/jobs/:job/receipt',
      params: strict({ job: hash }),
      query: ofChain,
      summary: 'The receipt of a job, which both sides signed',
      answers: { 200: { description: 'The receipt', schema: JobReceipt } },
      errors: [...OF_JOBS, 'NOT_FOUND'],
      scope: 'jobs',
      handle: ({ params, query, ...asker }) => {
        const api = node.chain(query.chain_id);
        const jobs = desks.of(api).open(asker);
        const receipt = jobs.coordinator.receipt(jobs.job(params.job).id);
        if (!receipt) throw noReceipt(params.job);
        return fresh(receiptView(api, receipt, placeOf(api, jobs.coordinator, receipt)));
      },
    }),
    operation({
      methods: [],
      verb: 'GET',
      path: '/v1/jobs/:job/proof',
      params: strict({ job: hash }),
      query: ofChain,
      summary: 'What shows that the result of a job was wrong: done again, its work gave another one',
      answers: {
        200: { description: 'Receipt, job, input and both hashes: aitbc job verify takes it', schema: WorkProof },
      },
      errors: [...OF_JOBS, 'NOT_FOUND'],
      scope: 'jobs',
      handle: ({ params, query, ...asker }) => {
        const api = node.chain(query.chain_id);
        const jobs = desks.of(api).open(asker);
        const { id } = jobs.job(params.job);
        const wrong = jobs.coordinator.wrongResult(id);
        const receipt = jobs.coordinator.receipt(id);
        if (!wrong || !receipt) throw noProof(params.job);
        return fresh(proofView(api, wrong, receipt));
      },
    }),
    operation({
      methods: [],
      verb: 'GET',
      path: '/v1/receipts',
      summary: 'Receipts of the jobs of the API key that asks, newest first',
      params: strict({}),
      query: chainQuery({ ...listFields, job_id: Type.Optional(hash) }),
      answers: { 200: { description: 'One page', schema: ReceiptPage } },
      errors: OF_JOBS,
      load: 'heavy',
      scope: 'jobs',
      handle: ({ query, ...asker }) => {
        const api = node.chain(query.chain_id);
        const jobs = desks.of(api).open(asker);
        const { found, next } = listJobs(jobs, query.cursor ?? null, {
          count: pageLimit(query.limit),
          wants: ({ id, receiptId }) => receiptId !== null && (query.job_id ?? toHex(id)) === toHex(id),
        });
        const receipts = found.flatMap(({ id }) => jobs.coordinator.receipt(id) ?? []);
        return fresh({ items: receipts.map((receipt) => receiptView(api, receipt)), next_cursor: next });
      },
    }),
    operation({
      methods: [],
      verb: 'GET',
      path: '/v1/receipts/:receipt',
      summary: 'A receipt by its id, or by that of its job',
      params: strict({ receipt: hash }),
      query: ofChain,
      answers: { 200: { description: 'The receipt', schema: JobReceipt } },
      errors: [...OF_JOBS, 'NOT_FOUND'],
      scope: 'jobs',
      handle: ({ params, query, ...asker }) => {
        const api = node.chain(query.chain_id);
        const jobs = desks.of(api).open(asker);
        const receipt = jobs.coordinator.receipt(fromHex(params.receipt));
        if (!receipt) throw noReceipt(params.receipt);
        jobs.job(toHex(receipt.receipt.receipt.job));
        return fresh(receiptView(api, receipt, placeOf(api, jobs.coordinator, receipt)));
      },
    }),
  ];
}

function noProof(id: string): NodeError {
  return new NodeError('NOT_FOUND', 'nothing shows that the result of this job is wrong', {
    data: { id },
    hint: 'a part of the jobs of deterministic kinds is done again: see market.replay_percent of config.toml',
  });
}

function noReceipt(id: string): NodeError {
  return new NodeError('NOT_FOUND', 'there is no receipt: the job is not done, or nobody was paid for it', {
    data: { id },
    hint: 'GET /v1/jobs/{id} tells how far it is',
  });
}
