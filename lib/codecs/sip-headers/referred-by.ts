import {formatNameAddr, parseNameAddr} from './name-addr.ts';

/**
 * The address in Referred-By (RFC 3892 §3), its URI parameters included, brackets and header parameters (`cid`) not.
 *
 * @throws CpmError `CPM_HEADER` (400).
 */
export function parseReferredBy(text: string): string {
  return parseNameAddr(text).uri;
}

/** Writes Referred-By, always bracketed. */
export function formatReferredBy(uri: string): string {
  return formatNameAddr({uri});
}
