import {randomBytes} from 'node:crypto';

/** Identifiers as a port: random in production, counted in tests. */
export interface Ids {
  /** A fresh token of letters, digits and hyphens with at least 128 random bits (RFC 4975 §14.1, RFC 5438 §6.3). */
  token(): string;
}

/** Tokens from the machine's random source: 20 octets, base 16. */
export const randomIds: Ids = {token: () => randomBytes(20).toString('hex')};
