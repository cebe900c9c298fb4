/** Jobs done at the cost of this node's wallet: behind API keys, the node reads what is asked and answered. */
import Type from 'typebox';
import type { Static } from 'typebox';
import { toHex } from '../../bytes.ts';
import type { JobView } from '../../compute/coordinator/coordinator.ts';
import { isEnded, plainState } from '../../compute/coordinator/coordinator.ts';
import type { Clock } from '../../clock.ts';
import { NodeError, toNodeError } from '../../errors.ts';
import type { ChainApi, NodeApi } from '../api.ts';
import { chainQuery, hash, ofChain, strict } from '../app.ts';
import type { Asker } from '../jobs/access.ts';
import type { JobDesks, OwnJobs } from '../jobs/desk.ts';
import { listFields, listJobs } from '../jobs/listing.ts';
import { idempotencyKeyOf, readJob } from '../jobs/request.ts';
import * as shapes from '../jobs/schemas.ts';
import { jobEventText, jobView, reasonsView, receiptView, resultView } from '../jobs/views.ts';
import type { Answer, Operation } from '../operation.ts';
import { fresh, OF_CHAIN, operation, Pieces } from '../operation.ts';
import { pageLimit } from '../paging.ts';
import { toProblem } from '../problem.ts';
import { withComments } from '../pieces.ts';

/** A prompt of the largest size, with what JSON adds. */
const MAX_JOB_BODY_BYTES = 2 * 1024 * 1024;
/** Of every operation on jobs. */
export const OF_JOBS = [...OF_CHAIN, 'UNAUTHENTICATED', 'METHOD_DISABLED'] as const;

const OF_SUBMISSION = [
  ...(['BUDGET_SPENT', 'PRICE', 'NO_MODEL', 'BAD_JOB', 'BUSY', 'INSUFFICIENT_FUNDS'] as const),
  ...(['IDEMPOTENCY_MISMATCH', 'STORAGE', 'UNREACHABLE'] as const),
] as const;

const ofJob = { params: strict({ job: hash }), query: ofChain, scope: 'jobs' } as const;

export function jobOperations(node: NodeApi, desks: JobDesks, clock: Clock): Operation[] {
  const own = (chainId: string | undefined, asker: Asker): { api: ChainApi; jobs: OwnJobs } => {
    const api = node.chain(chainId);
    return { api, jobs: desks.of(api).open(asker) };
  };
  const cancel = async (chainId: string | undefined, id: string, asker: Asker): Promise<Answer> => {
    const { jobs } = own(chainId, asker);
    const before = jobs.job(id);
    if (isEnded(before.state)) throw ended(before);
    const job = await jobs.coordinator.cancel(before.id);
    if (job.state !== 'canceled') throw ended(job);
    return fresh(jobView(job));
  };
  return [
    operation({
      methods: [],
      verb: 'POST',
      path: '/v1/jobs',
      summary: 'Submits a job that this node pays for; with Idempotency-Key the same request is the same job',
      params: strict({}),
      query: ofChain,
      body: { forms: [{ key: null, schema: shapes.JobBody }], maxBytes: MAX_JOB_BODY_BYTES },
      answers: { 201: { description: 'The job; it waits when no miner is free', schema: shapes.Job } },
      errors: [...OF_JOBS, ...OF_SUBMISSION],
      load: 'write',
      scope: 'jobs',
      handle: async ({ query, body, ...asker }) => {
        const { jobs } = own(query.chain_id, asker);
        const draft = readJob(body as Static<typeof shapes.JobBody>);
        const job = await jobs.submit(draft, idempotencyKeyOf(asker));
        return fresh(jobView(job), 201, { location: `/v1/jobs/${toHex(job.id)}` });
      },
    }),
    operation({
      methods: [],
      verb: 'GET',
      path: '/v1/jobs',
      summary: 'Jobs of the API key that asks, newest first',
      params: strict({}),
      query: chainQuery({
        ...listFields,
        status: Type.Optional(shapes.plainStates),
        offset: Type.Optional(Type.String({ pattern: '^(?:0|[1-9][0-9]{0,2})$', description: 'in place of a cursor' })),
      }),
      answers: { 200: { description: 'One page', schema: shapes.JobPage } },
      errors: OF_JOBS,
      load: 'heavy',
      scope: 'jobs',
      handle: ({ query, ...asker }) => {
        const { jobs } = own(query.chain_id, asker);
        const limit = pageLimit(query.limit);
        const offset = Number(query.offset ?? 0);
        const { found, next } = listJobs(jobs, query.cursor ?? null, {
          count: offset + limit,
          wants: ({ state }) => query.status === undefined || plainState(state) === query.status,
        });
        const items = found.slice(offset).map(jobView);
        return fresh({ items, next_cursor: next, total: null, limit, offset });
      },
    }),
    operation({
      ...ofJob,
      methods: [],
      verb: 'GET',
      path: '/v1/jobs/:job',
      summary: 'A job as it is now',
      answers: { 200: { description: 'The job', schema: shapes.Job } },
      errors: [...OF_JOBS, 'NOT_FOUND'],
      handle: ({ params, query, ...asker }) => fresh(jobView(own(query.chain_id, asker).jobs.job(params.job))),
    }),
    ...[
      { verb: 'DELETE', path: '/v1/jobs/:job', summary: 'Cancels a job: answers when work on it has stopped' } as const,
      { verb: 'POST', path: '/v1/jobs/:job/cancel', summary: 'The same as DELETE of the job' } as const,
    ].map((way) =>
      operation({
        ...ofJob,
        ...way,
        methods: [],
        answers: { 200: { description: 'The canceled job', schema: shapes.Job } },
        errors: [...OF_JOBS, 'NOT_FOUND', 'CONFLICT', 'UNREACHABLE'],
        isLong: true,
        load: 'write',
        handle: ({ params, query, ...asker }) => cancel(query.chain_id, params.job, asker),
      }),
    ),
    operation({
      ...ofJob,
      methods: [],
      verb: 'GET',
      path: '/v1/jobs/:job/result',
      summary: 'What a completed job gave, with its receipt',
      answers: { 200: { description: 'Output and receipt', schema: shapes.JobResult } },
      errors: [...OF_JOBS, 'NOT_FOUND', 'NOT_READY', 'JOB_FAILED', 'PRUNED', 'UNREACHABLE', 'BUSY'],
      load: 'heavy',
      handle: async ({ params, query, gone, ...asker }) => {
        const { api, jobs } = own(query.chain_id, asker);
        const job = jobs.job(params.job);
        checkReady(job);
        const pieces: Uint8Array[] = [];
        for await (const piece of jobs.coordinator.output(job.id, 0, gone())) pieces.push(piece);
        const receipt = jobs.coordinator.receipt(job.id);
        return fresh(resultView(job, Buffer.concat(pieces), receipt ? receiptView(api, receipt) : null));
      },
    }),
    operation({
      ...ofJob,
      methods: [],
      verb: 'GET',
      path: '/v1/jobs/:job/events',
      summary: 'Server-sent events of what becomes of a job, until it has ended; Last-Event-ID goes on after one',
      answers: { 200: { description: 'Events', schema: Type.String(), type: 'text/event-stream' } },
      errors: [...OF_JOBS, 'NOT_FOUND'],
      isLong: true,
      handle: ({ params, query, gone, requestId, ...asker }) => {
        const { jobs } = own(query.chain_id, asker);
        const job = jobs.job(params.job);
        const from = eventAfter(asker.headers['last-event-id']);
        const texts = eventTexts(jobs, job, { from, gone: gone(), requestId });
        return {
          ...fresh(null, 200, { 'x-accel-buffering': 'no' }),
          type: 'text/event-stream; charset=utf-8',
          body: () => new Pieces(withComments(texts, clock)),
        };
      },
    }),
    operation({
      ...ofJob,
      methods: [],
      verb: 'GET',
      path: '/v1/jobs/:job/why',
      summary: 'Why a job is where it is: what miners said, counted, and who was considered',
      answers: { 200: { description: 'Reasons, most often first', schema: shapes.JobReasonsView } },
      errors: [...OF_JOBS, 'NOT_FOUND'],
      handle: ({ params, query, ...asker }) => {
        const { jobs } = own(query.chain_id, asker);
        const job = jobs.job(params.job);
        const reasons = jobs.coordinator.why(job.id);
        const nothing = { state: job.state, summary: 'nothing is known beyond its state', reasons: [], candidates: [] };
        return fresh(reasonsView(job, reasons ?? nothing));
      },
    }),
  ];
}

/** @throws NodeError NOT_READY | JOB_FAILED */
function checkReady({ id, state, fault }: JobView): void {
  const job_id = toHex(id);
  if (!isEnded(state)) {
    throw new NodeError('NOT_READY', `the job is ${state}: there is no result yet`, {
      data: { job_id, state: plainState(state) },
      hint: `ask again later, or follow /v1/jobs/${job_id}/events`,
    });
  }
  if (state === 'completed') return;
  throw new NodeError('JOB_FAILED', `the job is ${state}${fault ? `: ${fault.message}` : ''}`, {
    data: { job_id, state: plainState(state), code: fault?.code ?? null, should_retry: false },
    hint: `/v1/jobs/${job_id}/why tells why; submit it again`,
  });
}

function ended({ id, state }: JobView): NodeError {
  return new NodeError('CONFLICT', `the job has ended: it is ${state}, and cannot be canceled`, {
    data: { job_id: toHex(id), state: plainState(state) },
  });
}

/** @throws NodeError INVALID_PARAMS */
function eventAfter(lastId: string | string[] | undefined): number {
  if (lastId === undefined || lastId === '') return 1;
  if (typeof lastId === 'string' && /^[1-9][0-9]{0,14}$/.test(lastId)) return Number(lastId) + 1;
  throw new NodeError('INVALID_PARAMS', 'Last-Event-ID is not of this stream', {
    hint: 'ids are the numbers of the events of a job',
  });
}

interface Following {
  readonly from: number;
  readonly gone: AbortSignal;
  readonly requestId: string;
}

async function* eventTexts(
  jobs: OwnJobs,
  { id }: JobView,
  { from, gone, requestId }: Following,
): AsyncGenerator<string> {
  yield 'retry: 3000\n\n';
  try {
    for await (const event of jobs.coordinator.events(id, from, gone)) yield jobEventText(event);
  } catch (error) {
    yield `event: failure\ndata: ${JSON.stringify(toProblem(toNodeError(error), requestId))}\n\n`;
  }
}
