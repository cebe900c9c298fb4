/**
 * Broken inputs that each decoder is given: few enough for every run of the tests, and more when asked for.
 * `npm run fuzz:decoders` asks for a million.
 */
export const CASES = Number(process.env['DECODER_CASES'] ?? 10_000);

/** For a test of that many, on a busy machine. */
export const CASES_TIMEOUT_MS = Math.max(60_000, 6 * CASES);
