/** OpenAI's answers: whole, and as the chunks of a stream. */
import { toHex } from '../../bytes.ts';
import type { JobView } from '../../compute/coordinator/coordinator.ts';

type ChatOrText = 'chat' | 'text';

export function finishOf({ finish }: JobView): 'stop' | 'length' {
  return finish === 'length' ? 'length' : 'stop';
}

/** As the back end counted; null where it does not. */
export function usageOf({ inputTokens, outputTokens }: JobView) {
  if (inputTokens === null || outputTokens === null) return null;
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
  };
}

function headOf(job: JobView, form: ChatOrText) {
  return {
    id: `${form === 'chat' ? 'chatcmpl' : 'cmpl'}-${toHex(job.id)}`,
    created: Math.floor(job.createdAtMs / 1000),
    model: job.answeredBy ?? job.model,
  };
}

export function completionView(job: JobView, text: string, form: ChatOrText) {
  const usage = usageOf(job);
  const about = { index: 0, logprobs: null, finish_reason: finishOf(job) };
  return {
    ...headOf(job, form),
    object: form === 'chat' ? ('chat.completion' as const) : ('text_completion' as const),
    choices: [
      form === 'chat' ? { ...about, message: { role: 'assistant', content: text, refusal: null } } : { ...about, text },
    ],
    ...(usage && { usage }),
  };
}

/** The text of one chunk. @param delta null: the last one of the choice, which says how it ended */
export function chunkText(
  job: JobView,
  delta: { readonly text: string; readonly isFirst: boolean } | null,
  form: ChatOrText,
) {
  const about = { index: 0, logprobs: null, finish_reason: delta ? null : finishOf(job) };
  const choice =
    form === 'text'
      ? { ...about, text: delta?.text ?? '' }
      : { ...about, delta: delta ? { ...(delta.isFirst && { role: 'assistant' }), content: delta.text } : {} };
  return eventText({ ...headOf(job, form), object: objectOf(form), choices: [choice], ...(delta ? {} : paid(job)) });
}

/** After the last chunk, when it was asked for. */
export function usageText(job: JobView, form: ChatOrText): string {
  return eventText({ ...headOf(job, form), object: objectOf(form), choices: [], usage: usageOf(job) });
}

export const DONE = 'data: [DONE]\n\n';

export function eventText(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** What headers cannot tell any longer. */
function paid({ id, spentUait, receiptId }: JobView) {
  return { aitbc: { job_id: toHex(id), price_uait: String(spentUait), receipt_id: receiptId && toHex(receiptId) } };
}

/** With the answer, whatever its dialect. @param isWhole it is there: what it cost is known */
export function jobHeaders({ id, spentUait, receiptId }: JobView, isWhole: boolean): Record<string, string> {
  return {
    'x-aitbc-job': toHex(id),
    ...(isWhole && { 'x-aitbc-price': String(spentUait) }),
    ...(isWhole && receiptId && { 'x-aitbc-receipt': toHex(receiptId) }),
  };
}

function objectOf(form: ChatOrText): string {
  return form === 'chat' ? 'chat.completion.chunk' : 'text_completion';
}
