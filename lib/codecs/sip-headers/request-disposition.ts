import {splitOutside} from '../tokens.ts';

/** Directives of Request-Disposition in lower case: `no-fork`, `parallel`, `queue` … (RFC 3841 §9.1). */
export function parseRequestDisposition(text: string): readonly string[] {
  return splitOutside(text, ',').map((directive) => directive.toLowerCase());
}
