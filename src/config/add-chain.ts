/** A further chain in a config.toml that people may have edited. */
import { loadConfig } from '../config.ts';

/** The text with the chain in its list; null when there is no line `chains = […]`, set or commented out. */
export function addChain(text: string, chainId: string): string | null {
  const { chains } = loadConfig({ fileText: text });
  if (chains.includes(chainId)) return text;
  const next = text.replace(/^(?:# )?chains = \[[^\]\n]*\]$/m, `chains = ${JSON.stringify([...chains, chainId])}`);
  return next === text ? null : next;
}
