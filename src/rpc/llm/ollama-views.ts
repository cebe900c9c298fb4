/** Ollama's answers: whole, and as the lines of a stream. */
import { toHex } from '../../bytes.ts';
import type { AwaitedJob } from '../jobs/answer.ts';
import type { ListedModel } from './models.ts';
import { CHAT } from './drafts.ts';
import { finishOf } from './openai-views.ts';

export type OllamaForm = 'chat' | 'generate';

/** One piece, or all of it when it is done. */
export function ollamaView(begun: AwaitedJob, text: string, form: OllamaForm, end: object | null) {
  const { job } = begun;
  return {
    model: job.answeredBy ?? job.model,
    created_at: new Date(job.createdAtMs).toISOString(),
    ...(form === 'chat' ? { message: { role: 'assistant', content: text } } : { response: text }),
    done: end !== null,
    ...end,
  };
}

/** How it went. @param nowMs monotonic */
export function endOf({ job, startedAtMs, firstAtMs }: AwaitedJob, nowMs: number) {
  const { inputTokens, outputTokens, spentUait, receiptId, id } = job;
  return {
    done_reason: finishOf(job),
    total_duration: nanoseconds(nowMs - startedAtMs),
    load_duration: nanoseconds(firstAtMs - startedAtMs),
    eval_duration: nanoseconds(nowMs - firstAtMs),
    ...(inputTokens !== null && { prompt_eval_count: inputTokens }),
    ...(outputTokens !== null && { eval_count: outputTokens }),
    aitbc: { job_id: toHex(id), price_uait: String(spentUait), receipt_id: receiptId && toHex(receiptId) },
  };
}

export function nanoseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1e6));
}

/** What miners do not tell is empty or zero. */
function detailsOf({ tags }: ListedModel) {
  return {
    parent_model: '',
    format: '',
    family: '',
    families: [...tags],
    parameter_size: '',
    quantization_level: '',
  };
}

export function tagView(model: ListedModel) {
  const { name, digest } = model;
  return { name, model: name, digest, size: 0, details: detailsOf(model) };
}

export function showView(model: ListedModel) {
  const { kinds, contextTokens, miners, offeredAtMs } = model;
  return {
    modelfile: '',
    parameters: '',
    template: '',
    details: detailsOf(model),
    model_info: { 'aitbc.context_length': contextTokens, 'aitbc.miners': miners },
    capabilities: kinds.map((kind) => (kind === CHAT ? 'completion' : 'embedding')),
    modified_at: new Date(offeredAtMs).toISOString(),
  };
}
