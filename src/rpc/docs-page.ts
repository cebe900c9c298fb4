/**
 * The documentation as one page, made of the OpenAPI document and the error table when it is asked for. It needs no
 * script and nothing from elsewhere, so the strictest policy holds for it.
 */
import { ERRORS } from '../errors.ts';
import type { JsonSchema } from './openapi.ts';

/** Nothing but the one style sheet of this server. */
export const DOCS_POLICY =
  "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What is read of the document; it is made by openapi.ts. */
interface Described {
  readonly operationId: string;
  readonly summary: string;
  readonly deprecated?: boolean;
  readonly parameters: readonly { name: string; in: string; required: boolean; schema: JsonSchema }[];
  readonly requestBody?: { content: Readonly<Record<string, { schema: JsonSchema }>> };
  readonly responses: Readonly<
    Record<string, { description: string; content?: Readonly<Record<string, { schema: JsonSchema }>> }>
  >;
}

interface Document {
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

export function docsPage(document: JsonSchema): string {
  const { info, paths, components } = document as unknown as Document;
  const operations = Object.entries(paths).flatMap(([path, verbs]) =>
    Object.entries(verbs).map(([verb, described]) => ({ path, verb: verb.toUpperCase(), described })),
  );
  const current = operations.filter(({ described }) => described.deprecated !== true);
  const deprecated = operations.filter(({ described }) => described.deprecated === true);
  const list = (items: typeof operations): string =>
    items.map(({ path, verb, described }) => operationHtml(verb, path, described)).join('');
  const schemas = Object.entries(components.schemas).map(
    ([name, schema]) =>
      `<details id="schema-${escapeHtml(name)}"><summary>${escapeHtml(name)}</summary>${json(schema)}</details>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(info.title)}: interface</title><link rel="stylesheet" href="/docs/style.css"></head><body>
<header><h1>${escapeHtml(info.title)} <small>${escapeHtml(info.version)}</small></h1>
<p>${escapeHtml(info.description)}</p>
<p><a href="/openapi.json">openapi.json</a>; JSON-RPC at <code>POST /rpc</code>, described by <code>rpc.discover</code>.</p>
<nav><a href="#paths">Paths</a> <a href="#deprecated">Deprecated</a> <a href="#codes">Error codes</a>
<a href="#schemas">Schemas</a></nav></header>
<main><h2 id="paths">Paths</h2>${list(current)}
<h2 id="deprecated">Deprecated</h2><p>For clients of the replaced system.</p>${list(deprecated)}
<h2 id="codes">Error codes</h2>${errorTable()}
<h2 id="schemas">Schemas</h2>${schemas.join('')}</main></body></html>
`;
}

function operationHtml(verb: string, path: string, described: Described): string {
  const { operationId, summary, parameters, requestBody, responses } = described;
  const rows = parameters.map(({ name, in: place, required, schema }) =>
    row([code(name), place, required ? 'yes' : 'no', typeHtml(schema)]),
  );
  const answers = Object.entries(responses).map(([status, { description, content = {} }]) => {
    const types = Object.entries(content).map(([type, { schema }]) => `${code(type)} ${typeHtml(schema)}`);
    return row([code(status), escapeHtml(description), types.join('<br>')]);
  });
  const body = Object.entries(requestBody?.content ?? {}).map(
    ([type, { schema }]) => `<h3>Body: ${code(type)}</h3>${json(schema)}`,
  );
  return `<details id="${escapeHtml(operationId)}"><summary><b>${verb}</b> <code>${escapeHtml(path)}</code>
<span>${escapeHtml(summary)}</span></summary>
${rows.length > 0 ? table(['parameter', 'in', 'required', 'value'], rows) : ''}${body.join('')}
${table(['status', 'meaning', 'content'], answers)}</details>
`;
}

function errorTable(): string {
  const rows = Object.entries(ERRORS).map(([name, { http, jsonRpc, exit, retryable, title }]) =>
    row([code(name), escapeHtml(title), String(http), String(jsonRpc), String(exit), retryable ? 'yes' : 'no']),
  );
  return table(['code', 'meaning', 'HTTP', 'JSON-RPC', 'exit', 'retryable'], rows);
}

/** A name with a link, or the schema itself where it is short. */
function typeHtml(schema: JsonSchema): string {
  const { $ref, allOf, description } = schema;
  if (typeof $ref === 'string') {
    const name = $ref.slice($ref.lastIndexOf('/') + 1);
    return `<a href="#schema-${escapeHtml(name)}">${escapeHtml(name)}</a>`;
  }
  if (Array.isArray(allOf)) return allOf.map((part) => typeHtml(part as JsonSchema)).join(' ');
  const { description: _, ...rest } = schema;
  return `<code>${escapeHtml(JSON.stringify(rest))}</code>${typeof description === 'string' ? ` ${escapeHtml(description)}` : ''}`;
}

const table = (names: readonly string[], rows: readonly string[]): string =>
  `<table><thead><tr>${names.map((name) => `<th scope="col">${name}</th>`).join('')}</tr></thead>` +
  `<tbody>${rows.join('')}</tbody></table>`;
/** @param cells of HTML */
const row = (cells: readonly string[]): string => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
const code = (text: string): string => `<code>${escapeHtml(text)}</code>`;
const json = (value: unknown): string => `<pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`;

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ESCAPES[char] ?? '');
}

export const DOCS_STYLE = `:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 70rem; margin: 0 auto; padding: 1rem; }
small, summary span { color: GrayText; font-weight: normal; }
nav a { margin-right: 1rem; }
details { border-top: 1px solid color-mix(in srgb, currentcolor 20%, transparent); padding: 0.3rem 0; }
summary { cursor: pointer; }
summary b { display: inline-block; width: 3.5rem; }
code, pre { font: 0.9em ui-monospace, monospace; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: 0.5rem; background: color-mix(in srgb, currentcolor 7%, transparent); }
table { border-collapse: collapse; margin: 0.5rem 0; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.2rem 0.6rem 0.2rem 0; }
:focus-visible { outline: 2px solid; }
`;
