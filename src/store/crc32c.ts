/** CRC-32C (Castagnoli, RFC 3720 appendix B.4), eight bytes a step, and the masked form that LevelDB stores. */

const POLYNOMIAL = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

const TABLES: readonly Uint32Array[] = makeTables();

export function crc32c(bytes: Uint8Array): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as [
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
    Uint32Array,
  ];
  const at = (index: number): number => bytes[index] as number;
  let crc = -1;
  let i = 0;
  for (const whole = bytes.length & ~7; i < whole; i += 8) {
    crc ^= at(i) | (at(i + 1) << 8) | (at(i + 2) << 16) | (at(i + 3) << 24);
    crc =
      (t7[crc & 255] as number) ^
      (t6[(crc >>> 8) & 255] as number) ^
      (t5[(crc >>> 16) & 255] as number) ^
      (t4[crc >>> 24] as number) ^
      (t3[at(i + 4)] as number) ^
      (t2[at(i + 5)] as number) ^
      (t1[at(i + 6)] as number) ^
      (t0[at(i + 7)] as number);
  }
  for (; i < bytes.length; i++) crc = (t0[(crc ^ at(i)) & 255] as number) ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** As LevelDB stores it (util/crc32c.h): the checksum of data that holds checksums would be weak. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}

/** Table n takes a byte that n further bytes follow. */
function makeTables(): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let table = first; tables.length < 8; tables.push(table)) {
    table = table.map((crc) => (crc >>> 8) ^ (first[crc & 255] ?? 0));
  }
  return tables;
}
