/** Options set in a config.toml that people may have edited: lines are changed or added, and nothing else. */
import { parse as parseToml } from 'smol-toml';
import type { ConfigValues } from '../config.ts';
import { loadConfig } from '../config.ts';

/** @param values by path, `section.key` @throws NodeError CONFIG when the result is none that a node would start with */
export function setOptions(text: string, values: ConfigValues): string {
  let next = text;
  for (const [path, value] of Object.entries(values)) {
    const dot = path.indexOf('.');
    const [section, key] = [path.slice(0, dot), path.slice(dot + 1)];
    if (value !== undefined) next = withLine(next, section, key, `${key} = ${JSON.stringify(value)}`);
  }
  loadConfig({ fileText: next });
  return next;
}

function withLine(text: string, section: string, key: string, line: string): string {
  const lines = text.split('\n');
  const head = lines.indexOf(`[${section}]`);
  if (head < 0) {
    const isTable = Object.hasOwn(parseToml(text), section);
    // Written in another form, as in section.key = value at the top.
    if (isTable) return text;
    return `${text.trimEnd()}\n\n[${section}]\n${line}\n`;
  }
  const after = lines.findIndex((each, i) => i > head && /^\s*\[/.test(each));
  const end = after < 0 ? lines.length : after;
  const form = new RegExp(`^\\s*(?:# )?${key}\\s*=`);
  const own = lines.findIndex((each, i) => i > head && i < end && form.test(each));
  // A list over several lines is one that people wrote: its first line alone cannot be replaced.
  if (own >= 0 && !/=\s*\[\s*$/.test(lines[own] ?? '')) lines[own] = line;
  else if (own < 0) lines.splice(head + 1, 0, line);
  return lines.join('\n');
}
