/** Amounts as people write them. 1 AIT = 1,000,000 uait. */
import { NodeError } from '../errors.ts';

const UAIT_PER_AIT = 1_000_000n;
const MAX_UAIT = BigInt(Number.MAX_SAFE_INTEGER);

/** `10`, `10ait` and `0.5` are AIT; `10000000uait` is base units. @throws NodeError USAGE */
export function parseAmount(text: string): number {
  const base = /^(\d{1,16})uait$/i.exec(text);
  const whole = /^(\d{1,10})(?:\.(\d{1,6}))?(?:ait)?$/i.exec(text);
  const uait = base
    ? BigInt(base[1] ?? 0)
    : whole
      ? BigInt(whole[1] ?? 0) * UAIT_PER_AIT + BigInt((whole[2] ?? '').padEnd(6, '0'))
      : null;
  if (uait !== null && uait <= MAX_UAIT) return Number(uait);
  throw new NodeError('USAGE', `${text.slice(0, 40)} is not an amount`, {
    hint: 'write 10 or 10ait or 0.5 (AIT), or 10000000uait',
  });
}

/** e.g. "1 234.5 AIT", with thin groups. */
export function formatAit(uait: number | string): string {
  const value = BigInt(uait);
  const sign = value < 0n ? '-' : '';
  const absolute = value < 0n ? -value : value;
  const whole = String(absolute / UAIT_PER_AIT).replace(/\B(?=(\d{3})+$)/g, ' ');
  const rest = String(absolute % UAIT_PER_AIT)
    .padStart(6, '0')
    .replace(/0+$/, '');
  return `${sign}${whole}${rest === '' ? '' : `.${rest}`} AIT`;
}
