/** Event kinds of this module; all begin with the agreement's id. Numbers are never reused. */

/** Then: expiry u64, as rounded. */
export const EVENT_OPENED = 1;
/** The client ended it. */
export const EVENT_CLOSING = 2;
/** Then: paid now u64, paid in all u64. */
export const EVENT_PAID = 3;
/** By its miner. Then: refunded u64. */
export const EVENT_RELEASED = 4;
