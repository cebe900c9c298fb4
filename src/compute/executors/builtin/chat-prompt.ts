/** In the child: a conversation as the tokens a model was trained to answer. */
import type { ChatHistoryItem, ChatWrapper, LlamaModel, Token } from 'node-llama-cpp';
import type { ChatJob, ChatMessage } from '../job.ts';

export interface ChatPrompt {
  readonly tokens: Token[];
  /** Tokens that end the answer, beside the model's own. */
  readonly stopTokens: ReadonlySet<Token>;
  readonly stops: readonly string[];
}

/** The form of the bundled model, which knows one question and no more: the last of the user. */
export function questionAnswerPrompt(model: LlamaModel): (chat: ChatJob) => ChatPrompt {
  return ({ messages }) => {
    const question = messages.findLast(({ role }) => role === 'user')?.content ?? '';
    const tokens = model.tokenize(`Q: ${question}\nA: `, false);
    return { tokens: withBeginning(model, tokens), stopTokens: new Set(), stops: [] };
  };
}

/** By the chat template in the model's file. What users write is never read as one of the template's marks. */
export function templatePrompt(wrapper: ChatWrapper, model: LlamaModel): (chat: ChatJob) => ChatPrompt {
  return ({ messages }) => {
    const chatHistory = messages.map(historyItem);
    if (chatHistory.at(-1)?.type !== 'model') chatHistory.push({ type: 'model', response: [] });
    const { contextText, stopGenerationTriggers } = wrapper.generateContextState({ chatHistory });
    const stopTokens = new Set<Token>();
    const stops: string[] = [];
    for (const trigger of stopGenerationTriggers) {
      const tokens = trigger.tokenize(model.tokenizer);
      const [only] = tokens;
      if (tokens.length === 1 && only !== undefined) stopTokens.add(only);
      else if (trigger.values.every((value) => typeof value === 'string')) stops.push(trigger.values.join(''));
    }
    return {
      tokens: withBeginning(model, contextText.tokenize(model.tokenizer)),
      stopTokens,
      stops: stops.filter(Boolean),
    };
  };
}

function withBeginning({ tokens: { bos, shouldPrependBosToken } }: LlamaModel, tokens: Token[]): Token[] {
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
}

function historyItem({ role, content }: ChatMessage): ChatHistoryItem {
  if (role === 'system') return { type: 'system', text: content };
  if (role === 'assistant') return { type: 'model', response: [content] };
  return { type: 'user', text: content };
}
