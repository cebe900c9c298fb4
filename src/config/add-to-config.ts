/** A further chain, and further peers, in a config.toml that people may have edited. */
import { loadConfig } from '../config.ts';

/** The text with the chain in its list; null when there is no line `chains = […]`, set or commented out. */
export function addChain(text: string, chainId: string): string | null {
  return extend(text, 'chains', loadConfig({ fileText: text }).chains, [chainId]);
}

/** The text with the peers in `p2p.peers`; null when there is no line `peers = […]`, set or commented out. */
export function addPeers(text: string, peers: readonly string[]): string | null {
  return extend(text, 'peers', loadConfig({ fileText: text }).p2p.peers, peers);
}

function extend(text: string, key: string, there: readonly string[], wanted: readonly string[]): string | null {
  const lacking = wanted.filter((item) => !there.includes(item));
  if (lacking.length === 0) return text;
  const line = new RegExp(`^(?:# )?${key} = \\[[^\\]\\n]*\\]$`, 'm');
  const next = text.replace(line, () => `${key} = ${JSON.stringify([...there, ...lacking])}`);
  return next === text ? null : next;
}
