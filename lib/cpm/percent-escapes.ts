const UNRESERVED = /[A-Za-z0-9\-_.!~*'()]/;

/**
 * One spelling for percent-escapes: those of unreserved characters are resolved, the others get upper-case digits
 * (RFC 3261 §19.1.4, RFC 3986 §6.2.2). A `%` that begins no escape stays.
 */
export function normalizeEscapes(text: string): string {
  return text.replace(/%[0-9A-Fa-f]{2}/g, (escape) => {
    const character = String.fromCharCode(parseInt(escape.slice(1), 16));
    return UNRESERVED.test(character) ? character : escape.toUpperCase();
  });
}

/** Resolves percent-escapes of printable ASCII; all else stays as it stands. Never fails, unlike decodeURIComponent. */
export function resolveEscapes(text: string): string {
  return text.replace(/%[2-7][0-9A-Fa-f]/g, (escape) => {
    const code = parseInt(escape.slice(1), 16);
    return code === 0x7f ? escape : String.fromCharCode(code);
  });
}
