/** Schemas that have a name in the OpenAPI document. */
import type { TSchema } from 'typebox';
import type { FailureForm } from './operation.ts';
import { Job, JobReceipt } from './jobs/schemas.ts';
import { OllamaFailure } from './llm/ollama-schemas.ts';
import { OpenAiFailure, OpenAiModel } from './llm/openai-schemas.ts';
import { CHAIN_COMPONENTS, Problem } from './schemas.ts';

export const COMPONENTS: Readonly<Record<string, TSchema>> = {
  ...CHAIN_COMPONENTS,
  Job,
  JobReceipt,
  OpenAiModel,
  OpenAiFailure,
  OllamaFailure,
};

/** By what failures look like. */
export const FAILURES: Readonly<Record<FailureForm, TSchema>> = {
  problem: Problem,
  openai: OpenAiFailure,
  ollama: OllamaFailure,
};
