/** The node's own miner, as its operator is told. */
import Type from 'typebox';
import { strict } from './app.ts';
import { amount, hex32, nullable, text, time } from './schemas.ts';

export const OwnMiner = strict({
  address: text,
  state: Type.Enum(['open', 'draining', 'closed']),
  slots: Type.Integer(),
  free: Type.Integer(),
  working: Type.Integer(),
  streams: Type.Integer(),
  reason: nullable(strict({ code: text, message: text })),
  staked_uait: amount,
  balance_uait: amount,
  models: Type.Array(
    strict({
      kind: text,
      model: text,
      warm: Type.Boolean(),
      streams: Type.Boolean(),
      digest: nullable(hex32),
      fixed_uait: amount,
      input_uait_per_kib: amount,
      output_uait_per_kib: amount,
      bytes_per_second: Type.Integer(),
      first_output_ms: nullable(Type.Integer()),
    }),
  ),
  agreements: Type.Array(
    strict({
      agreement: hex32,
      client: text,
      state: Type.Enum(['open', 'closing', 'closed']),
      cap_uait: amount,
      due_uait: amount,
      paid_uait: amount,
      receipts: Type.Integer(),
      expires_at: time,
    }),
  ),
  settlements_pending: Type.Integer(),
  unsettled_uait: amount,
  closed: strict({ agreements: Type.Integer(), receipts: Type.Integer(), earned_uait: amount }),
});
