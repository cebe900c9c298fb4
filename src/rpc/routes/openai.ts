/** OpenAI's paths. The node pays, and reads what is asked and answered. */
import Type from 'typebox';
import type { Static } from 'typebox';
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import type { NodeApi } from '../api.ts';
import { ofChain, strict } from '../app.ts';
import { openAiFailure } from '../failure-forms.ts';
import type { Asker } from '../jobs/access.ts';
import { AwaitedJob } from '../jobs/answer.ts';
import type { JobDraft } from '../jobs/check-job.ts';
import type { JobDesks } from '../jobs/desk.ts';
import { idempotencyKeyOf } from '../jobs/request.ts';
import type { Message, Sampling } from '../llm/drafts.ts';
import { chatDraft, embedDraft, textsOf, vectorsOf } from '../llm/drafts.ts';
import type { ListedModel } from '../llm/models.ts';
import { listedModels } from '../llm/models.ts';
import * as shapes from '../llm/openai-schemas.ts';
import { chunkText, completionView, DONE, eventText, jobHeaders, usageOf, usageText } from '../llm/openai-views.ts';
import type { Answer, Operation } from '../operation.ts';
import { fresh, OF_CHAIN, operation, Pieces } from '../operation.ts';
import { withComments } from '../pieces.ts';
import { toProblem } from '../problem.ts';

export const MAX_PROMPT_BODY_BYTES = 2 * 1024 * 1024;
const EVENTS = 'text/event-stream; charset=utf-8';

/** Of every path that has work done and waits for it. */
export const OF_WORK = [
  ...OF_CHAIN,
  ...(['UNAUTHENTICATED', 'METHOD_DISABLED', 'BUDGET_SPENT', 'PRICE', 'NO_MODEL', 'NO_MINER', 'BAD_JOB'] as const),
  ...(['BUSY', 'INSUFFICIENT_FUNDS', 'IDEMPOTENCY_MISMATCH', 'STORAGE', 'CANCELED', 'LEASE_LOST'] as const),
  ...(['EXECUTOR', 'JOB_FAILED', 'UNREACHABLE'] as const),
] as const;

interface Asked {
  readonly chainId: string | undefined;
  readonly asker: Asker;
  readonly gone: AbortSignal;
}

export interface WorkModules {
  readonly node: NodeApi;
  readonly desks: JobDesks;
  readonly clock: Clock;
}

/** Submits, and resolves with the first output. @throws NodeError */
export async function beginWork(
  { node, desks, clock }: WorkModules,
  { chainId, asker, gone }: Asked,
  draftOf: (options: NonNullable<ReturnType<NodeApi['chain']>['jobs']>['options']) => JobDraft,
): Promise<AwaitedJob> {
  const desk = desks.of(node.chain(chainId));
  const own = desk.open(asker);
  const job = await own.submit(draftOf(desk.jobs.options), idempotencyKeyOf(asker));
  return AwaitedJob.begin(job, { jobs: desk.jobs, clock, gone });
}

/** What all that costs money shares. */
const ofWork = {
  methods: [],
  verb: 'POST',
  params: strict({}),
  query: ofChain,
  errors: OF_WORK,
  failures: 'openai',
  isLong: true,
  load: 'write',
  scope: 'jobs',
} as const;

export function openAiOperations(modules: WorkModules): Operation[] {
  return [
    operation({
      ...ofWork,
      path: '/v1/chat/completions',
      summary: 'A chat as OpenAI has it, with "stream" as server-sent events; the node pays, and reads it',
      body: { forms: [{ key: null, schema: shapes.ChatBody }], maxBytes: MAX_PROMPT_BODY_BYTES },
      answers: { 200: { description: 'The answer', schema: shapes.ChatCompletion, inPieces: 'text/event-stream' } },
      handle: async ({ query, body, gone, requestId, ...asker }) => {
        const asked = body as Static<typeof shapes.ChatBody>;
        const chat = { model: asked.model, messages: asked.messages.map(readMessage), sampling: readSampling(asked) };
        const begun = await beginWork(modules, { chainId: query.chain_id, asker, gone: gone() }, (options) =>
          chatDraft(chat, asker, options),
        );
        return answer(begun, { asked, form: 'chat', requestId, clock: modules.clock });
      },
    }),
    operation({
      ...ofWork,
      path: '/v1/completions',
      summary: 'A prompt as OpenAI had it before chats: it is asked as the one message of a user',
      body: { forms: [{ key: null, schema: shapes.CompletionBody }], maxBytes: MAX_PROMPT_BODY_BYTES },
      answers: { 200: { description: 'The answer', schema: shapes.Completion, inPieces: 'text/event-stream' } },
      handle: async ({ query, body, gone, requestId, ...asker }) => {
        const asked = body as Static<typeof shapes.CompletionBody>;
        const messages = [{ role: 'user', text: [asked.prompt].flat().join('') }] as const;
        const chat = { model: asked.model, messages, sampling: readSampling(asked) };
        const begun = await beginWork(modules, { chainId: query.chain_id, asker, gone: gone() }, (options) =>
          chatDraft(chat, asker, options),
        );
        return answer(begun, { asked, form: 'text', requestId, clock: modules.clock });
      },
    }),
    operation({
      ...ofWork,
      path: '/v1/embeddings',
      summary: 'Vectors of texts as OpenAI has them, as numbers or base64',
      body: { forms: [{ key: null, schema: shapes.EmbeddingBody }], maxBytes: MAX_PROMPT_BODY_BYTES },
      answers: { 200: { description: 'One vector a text', schema: shapes.Embeddings } },
      handle: async ({ query, body, gone, ...asker }) => {
        const { model, input, encoding_format = 'float' } = body as Static<typeof shapes.EmbeddingBody>;
        const texts = [input].flat();
        const begun = await beginWork(modules, { chainId: query.chain_id, asker, gone: gone() }, (options) =>
          embedDraft({ model, texts }, asker, options),
        );
        const vectors = vectorsOf(await begun.collect(), texts.length);
        const { job } = begun;
        const prompt_tokens = usageOf(job)?.prompt_tokens ?? job.inputTokens ?? 0;
        const data = vectors.map((vector, index) => ({
          object: 'embedding',
          index,
          embedding: encoding_format === 'float' ? [...vector] : base64Of(vector),
        }));
        const usage = { prompt_tokens, total_tokens: prompt_tokens };
        return fresh({ object: 'list', data, model: job.answeredBy ?? job.model, usage }, 200, jobHeaders(job, true));
      },
    }),
    operation({
      methods: [],
      verb: 'GET',
      path: '/v1/models',
      summary: 'Models that miners offer now',
      params: strict({}),
      query: ofChain,
      answers: { 200: { description: 'By name', schema: shapes.OpenAiModels } },
      errors: OF_CHAIN,
      failures: 'openai',
      handle: ({ query }) =>
        fresh({ object: 'list', data: listedModels(modules.node.chain(query.chain_id)).map(modelView) }),
    }),
    operation({
      methods: [],
      verb: 'GET',
      path: '/v1/models/:model',
      summary: 'One of them',
      params: strict({ model: Type.String({ maxLength: 128 }) }),
      query: ofChain,
      answers: { 200: { description: 'The model', schema: shapes.OpenAiModel } },
      errors: [...OF_CHAIN, 'NO_MODEL'],
      failures: 'openai',
      handle: ({ params, query }) => {
        const models = listedModels(modules.node.chain(query.chain_id));
        const model = models.find(({ name }) => name === params.model);
        if (model) return fresh(modelView(model));
        throw noModel(params.model, models);
      },
    }),
  ];
}

interface Answering {
  readonly asked: Pick<Static<typeof shapes.ChatBody>, 'stream' | 'stream_options'>;
  readonly form: 'chat' | 'text';
  readonly requestId: string;
  readonly clock: Clock;
}

async function answer(begun: AwaitedJob, answering: Answering): Promise<Answer> {
  const { asked, form, clock } = answering;
  if (asked.stream === true) {
    const chunks = chunkTexts(begun, answering);
    return {
      ...fresh(null, 200, { ...jobHeaders(begun.job, false), 'x-accel-buffering': 'no' }),
      type: EVENTS,
      body: () => new Pieces(withComments(chunks, clock)),
    };
  }
  const text = new TextDecoder().decode(await begun.collect());
  return fresh(completionView(begun.job, text, form), 200, jobHeaders(begun.job, true));
}

async function* chunkTexts(begun: AwaitedJob, { asked, form, requestId }: Answering): AsyncGenerator<string> {
  try {
    if (form === 'chat') yield chunkText(begun.job, { text: '', isFirst: true }, form);
    for await (const text of textsOf(begun.pieces())) yield chunkText(begun.job, { text, isFirst: false }, form);
    yield chunkText(begun.job, null, form);
    if (asked.stream_options?.include_usage === true) yield usageText(begun.job, form);
    yield DONE;
  } catch (error) {
    yield eventText(openAiFailure(toProblem(error, requestId)));
  }
}

function readMessage({ role, content }: Static<typeof shapes.ChatMessage>): Message {
  const text = typeof content === 'string' ? content : content.map((item) => item.text).join('');
  return { role: role === 'developer' ? 'system' : role, text };
}

type SamplingBody = Static<typeof shapes.CompletionBody> &
  Pick<Partial<Static<typeof shapes.ChatBody>>, 'max_completion_tokens'>;

/** @throws NodeError INVALID_PARAMS */
function readSampling(asked: Omit<SamplingBody, 'prompt' | 'logprobs'>): Sampling {
  const { max_tokens, max_completion_tokens, temperature, top_p, seed, stop } = asked;
  if (
    typeof max_tokens === 'number' &&
    typeof max_completion_tokens === 'number' &&
    max_tokens !== max_completion_tokens
  ) {
    throw new NodeError('INVALID_PARAMS', '"max_tokens" and "max_completion_tokens" differ', {
      hint: 'give one of them',
    });
  }
  return {
    maxTokens: max_completion_tokens ?? max_tokens ?? undefined,
    temperature: temperature ?? undefined,
    topP: leastTopP(top_p),
    seed: seed ?? undefined,
    stops: stop === null || stop === undefined ? undefined : [stop].flat(),
  };
}

/** Zero would leave no token at all: the least there is leaves the likeliest. */
export function leastTopP(topP: number | null | undefined): number | undefined {
  return topP === null || topP === undefined ? undefined : Math.max(topP, 0.001);
}

function base64Of(vector: Float32Array): string {
  const view = new DataView(new ArrayBuffer(vector.length * 4));
  vector.forEach((value, at) => {
    view.setFloat32(at * 4, value, true);
  });
  return Buffer.from(view.buffer).toString('base64');
}

function modelView({ name, kinds, digest, contextTokens, tags, miners, offeredAtMs }: ListedModel) {
  return {
    id: name,
    object: 'model',
    created: Math.floor(offeredAtMs / 1000),
    owned_by: 'aitbc',
    kinds,
    digest,
    context_tokens: contextTokens,
    tags,
    miners,
  };
}

export function noModel(name: string, models: readonly ListedModel[]): NodeError {
  const offered = models
    .map((model) => model.name)
    .slice(0, 20)
    .join(', ');
  return new NodeError('NO_MODEL', 'no miner offers this model', {
    data: { model: name.slice(0, 128), offered },
    hint: offered === '' ? 'no models are offered now' : `models offered now: ${offered}`,
  });
}
