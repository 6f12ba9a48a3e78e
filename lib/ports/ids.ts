import {randomBytes} from 'node:crypto';

/** Identifiers as a port: random in production, counted in tests. */
export interface Ids {
  /** A fresh token of letters, digits and hyphens with at least 128 random bits (RFC 4975 §14.1, RFC 5438 §6.3). */
  token(): string;
}

const tokenBytes = 20;
const drawnTokens = 256;

/** Tokens from the machine's random source: 20 octets, base 16. Many are drawn at a time, as a draw takes longer than all else about one. */
export const randomIds: Ids = drawn();

function drawn(): Ids {
  let pool = Buffer.alloc(0);
  return {
    token() {
      if (pool.length === 0) pool = randomBytes(tokenBytes * drawnTokens);
      const token = pool.toString('hex', 0, tokenBytes);
      pool = pool.subarray(tokenBytes);
      return token;
    },
  };
}
