import {CpmError} from '../../errors.ts';
import {formatParams, type Params, parseParams, positionsOutside, quote, splitOutside, unquote} from '../tokens.ts';

/** `"Display name" <uri>;param=value`, or a bare URI with parameters of the header (RFC 3261 §20.10). */
export interface NameAddr {
  readonly displayName: string | undefined;
  /** As written, its own parameters included. */
  readonly uri: string;
  /** Parameters of the header, not of the URI. */
  readonly params: Params;
}

const ABSOLUTE_URI = /^[a-z][a-z0-9+.-]*:[^\s<>"]+$/i;

/**
 * Reads one name-addr or addr-spec. Without angle brackets everything from the first semicolon belongs to the header (RFC 3261 §20).
 *
 * @throws CpmError `CPM_HEADER` (400).
 */
export function parseNameAddr(text: string): NameAddr {
  const open = positionsOutside(text, '<').at(0);
  if (open === undefined) {
    const [uri = '', ...params] = splitOutside(text, ';');
    return {displayName: undefined, uri: checkUri(uri), params: parseParams(params.join(';'))};
  }
  const close = text.indexOf('>', open);
  if (close === -1) throw new CpmError('CPM_HEADER', 400, 'an address lacks its closing bracket');
  return {
    displayName: unquote(text.slice(0, open)) || undefined,
    uri: checkUri(text.slice(open + 1, close).trim()),
    params: parseParams(text.slice(close + 1)),
  };
}

/**
 * Reads a comma-separated list, as several header lines joined also are.
 *
 * @throws CpmError `CPM_HEADER` (400).
 */
export function parseNameAddrs(text: string): readonly NameAddr[] {
  return splitOutside(text, ',').map(parseNameAddr);
}

/** Always with brackets, so that parameters of the URI cannot be taken for the header's. */
export function formatNameAddr(address: {
  readonly uri: string;
  readonly displayName?: string | undefined;
  readonly params?: Iterable<readonly [string, string | undefined]>;
}): string {
  const {displayName, uri, params = []} = address;
  const name = displayName === undefined ? '' : `${quote(displayName)} `;
  return `${name}<${checkUri(uri)}>${formatParams(params)}`;
}

function checkUri(uri: string): string {
  if (!ABSOLUTE_URI.test(uri)) throw new CpmError('CPM_HEADER', 400, 'an address is not an absolute URI');
  return uri;
}
