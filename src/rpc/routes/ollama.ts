/** Ollama's paths, so that OLLAMA_HOST may name this node. The node pays, and reads what is asked and answered. */
import type { Static } from 'typebox';
import type { Clock } from '../../clock.ts';
import { NodeError } from '../../errors.ts';
import { noQuery, ofChain, strict } from '../app.ts';
import { ollamaFailure } from '../failure-forms.ts';
import type { AwaitedJob } from '../jobs/answer.ts';
import type { Message, Sampling } from '../llm/drafts.ts';
import { chatDraft, embedDraft, textsOf, vectorsOf } from '../llm/drafts.ts';
import { listedModels } from '../llm/models.ts';
import * as shapes from '../llm/ollama-schemas.ts';
import type { OllamaForm } from '../llm/ollama-views.ts';
import { endOf, nanoseconds, ollamaView, showView, tagView } from '../llm/ollama-views.ts';
import { jobHeaders } from '../llm/openai-views.ts';
import type { Answer, Operation } from '../operation.ts';
import { fresh, OF_CHAIN, operation, Pieces } from '../operation.ts';
import { toProblem } from '../problem.ts';
import type { WorkModules } from './openai.ts';
import { beginWork, leastTopP, MAX_PROMPT_BODY_BYTES, noModel, OF_WORK } from './openai.ts';

const LINES = 'application/x-ndjson';

export function ollamaOperations(modules: WorkModules): Operation[] {
  const { node, clock } = modules;
  const post = {
    methods: [],
    verb: 'POST',
    params: strict({}),
    query: ofChain,
    errors: OF_WORK,
    failures: 'ollama',
    isLong: true,
    load: 'write',
    scope: 'jobs',
  } as const;
  const get = { methods: [], verb: 'GET', params: strict({}), errors: OF_CHAIN, failures: 'ollama' } as const;
  return [
    operation({
      ...post,
      path: '/api/chat',
      summary: 'A chat as Ollama has it, in lines of JSON unless "stream" is false; the node pays, and reads it',
      body: { forms: [{ key: null, schema: shapes.OllamaChatBody }], maxBytes: MAX_PROMPT_BODY_BYTES },
      answers: { 200: { description: 'The answer', schema: shapes.OllamaChat, inPieces: LINES } },
      handle: async ({ query, body, gone, requestId, ...asker }) => {
        const { model, messages, options, stream } = body as Static<typeof shapes.OllamaChatBody>;
        const asked: Message[] = messages.map(({ role, content }) => ({ role, text: content }));
        const chat = { model, messages: asked, sampling: readSampling(options) };
        const begun = await beginWork(modules, { chainId: query.chain_id, asker, gone: gone() }, (limits) =>
          chatDraft(chat, asker, limits),
        );
        return answer(begun, { stream: stream ?? true, form: 'chat', requestId, clock });
      },
    }),
    operation({
      ...post,
      path: '/api/generate',
      summary: 'A prompt as Ollama has it, in lines of JSON unless "stream" is false',
      body: { forms: [{ key: null, schema: shapes.OllamaGenerateBody }], maxBytes: MAX_PROMPT_BODY_BYTES },
      answers: { 200: { description: 'The answer', schema: shapes.OllamaGenerated, inPieces: LINES } },
      handle: async ({ query, body, gone, requestId, ...asker }) => {
        const { model, prompt, system = '', options, stream } = body as Static<typeof shapes.OllamaGenerateBody>;
        const before: Message[] = system === '' ? [] : [{ role: 'system', text: system }];
        const messages: Message[] = [...before, { role: 'user', text: prompt }];
        const chat = { model, messages, sampling: readSampling(options) };
        const begun = await beginWork(modules, { chainId: query.chain_id, asker, gone: gone() }, (limits) =>
          chatDraft(chat, asker, limits),
        );
        return answer(begun, { stream: stream ?? true, form: 'generate', requestId, clock });
      },
    }),
    operation({
      ...post,
      path: '/api/embed',
      summary: 'Vectors of texts as Ollama has them',
      body: { forms: [{ key: null, schema: shapes.OllamaEmbedBody }], maxBytes: MAX_PROMPT_BODY_BYTES },
      answers: { 200: { description: 'One vector a text', schema: shapes.OllamaEmbedded } },
      handle: async ({ query, body, gone, ...asker }) => {
        const { model, input } = body as Static<typeof shapes.OllamaEmbedBody>;
        const texts = [input].flat();
        const begun = await beginWork(modules, { chainId: query.chain_id, asker, gone: gone() }, (limits) =>
          embedDraft({ model, texts }, asker, limits),
        );
        const embeddings = vectorsOf(await begun.collect(), texts.length).map((vector) => [...vector]);
        const { job, startedAtMs, firstAtMs } = begun;
        const view = {
          model: job.answeredBy ?? job.model,
          embeddings,
          total_duration: nanoseconds(clock.monotonic() - startedAtMs),
          load_duration: nanoseconds(firstAtMs - startedAtMs),
          ...(job.inputTokens !== null && { prompt_eval_count: job.inputTokens }),
        };
        return fresh(view, 200, jobHeaders(job, true));
      },
    }),
    operation({
      ...get,
      path: '/api/tags',
      query: ofChain,
      summary: 'Models that miners offer now, as Ollama lists them',
      answers: { 200: { description: 'By name', schema: shapes.OllamaTags } },
      handle: ({ query }) => {
        const models = listedModels(node.chain(query.chain_id));
        return fresh({
          models: models.map((model) => ({ ...tagView(model), modified_at: timeText(model.offeredAtMs) })),
        });
      },
    }),
    operation({
      ...get,
      path: '/api/ps',
      query: ofChain,
      summary: 'Those of them that are loaded somewhere',
      answers: { 200: { description: 'By name', schema: shapes.OllamaPs } },
      handle: ({ query }) => {
        const warm = listedModels(node.chain(query.chain_id)).filter(({ isWarm }) => isWarm);
        const views = warm.map((model) => ({
          ...tagView(model),
          expires_at: timeText(model.offerEndsAtMs),
          size_vram: 0,
        }));
        return fresh({ models: views });
      },
    }),
    operation({
      ...get,
      verb: 'POST',
      scope: 'read',
      path: '/api/show',
      query: ofChain,
      summary: 'One of the models',
      body: { forms: [{ key: null, schema: shapes.OllamaShowBody }], maxBytes: 16 * 1024 },
      answers: { 200: { description: 'What its miners tell of it', schema: shapes.OllamaShown } },
      errors: [...OF_CHAIN, 'NO_MODEL'],
      handle: ({ query, body }) => {
        const { model, name } = body as Static<typeof shapes.OllamaShowBody>;
        const models = listedModels(node.chain(query.chain_id));
        const asked = model ?? name ?? '';
        const found = models.find((candidate) => candidate.name === asked);
        if (!found) throw noModel(asked, models);
        return fresh(showView(found));
      },
    }),
    operation({
      ...get,
      path: '/api/version',
      query: noQuery,
      summary: 'Version of this program, where clients of Ollama ask for one',
      answers: { 200: { description: 'The version', schema: shapes.OllamaVersion } },
      errors: [],
      handle: () => fresh({ version: node.version }),
    }),
  ];
}

interface Answering {
  readonly stream: boolean;
  readonly form: OllamaForm;
  readonly requestId: string;
  readonly clock: Clock;
}

async function answer(begun: AwaitedJob, answering: Answering): Promise<Answer> {
  const { form, clock } = answering;
  if (answering.stream) {
    const lines = lineTexts(begun, answering);
    const headers = { ...jobHeaders(begun.job, false), 'x-accel-buffering': 'no' };
    return { ...fresh(null, 200, headers), type: LINES, body: () => new Pieces(lines) };
  }
  const text = new TextDecoder().decode(await begun.collect());
  const view = ollamaView(begun, text, form, endOf(begun, clock.monotonic()));
  return fresh(view, 200, jobHeaders(begun.job, true));
}

async function* lineTexts(begun: AwaitedJob, { form, requestId, clock }: Answering): AsyncGenerator<string> {
  try {
    for await (const text of textsOf(begun.pieces())) yield line(ollamaView(begun, text, form, null));
    yield line(ollamaView(begun, '', form, endOf(begun, clock.monotonic())));
  } catch (error) {
    yield line(ollamaFailure(toProblem(error, requestId)));
  }
}

function line(view: object): string {
  return `${JSON.stringify(view)}\n`;
}

type Options = NonNullable<Static<typeof shapes.OllamaChatBody>['options']>;

/** @throws NodeError INVALID_PARAMS */
function readSampling({ temperature, top_p, seed, num_predict, stop }: Options = {}): Sampling {
  if (num_predict === 0)
    throw new NodeError('INVALID_PARAMS', '"num_predict" of 0 asks for nothing', { hint: '-1, or more' });
  return {
    maxTokens: num_predict === undefined || num_predict < 0 ? undefined : num_predict,
    temperature,
    topP: leastTopP(top_p),
    seed,
    stops: stop === undefined ? undefined : [stop].flat(),
  };
}

function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
