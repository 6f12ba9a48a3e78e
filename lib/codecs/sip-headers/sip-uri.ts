import {normalizeEscapes} from '../../cpm/percent-escapes.ts';
import {CpmError} from '../../errors.ts';
import type {Params} from '../tokens.ts';

/** A sip: or sips: URI (RFC 3261 §19.1.1); everything keeps its escapes. */
export interface SipUri {
  readonly scheme: 'sip' | 'sips';
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** As written; an IPv6 address keeps its brackets. */
  readonly host: string;
  readonly port: number | undefined;
  /** By lower-case name; `gr` without a value is a key whose value is undefined (RFC 5627 §5). */
  readonly params: Params;
  readonly headers: ReadonlyMap<string, string>;
}

// Parameters that make two URIs differ even where only one has them: RFC 3261 §19.1.4 names five. With `gr` a URI means a device, without
// it a person (RFC 5627 §3.1); a PF must not take one for the other.
const SIGNIFICANT = ['user', 'ttl', 'method', 'maddr', 'transport', 'gr'];

/**
 * Reads a sip: or sips: URI.
 *
 * @throws CpmError `CPM_SIP_URI` (400).
 */
export function parseSipUri(text: string): SipUri {
  const scheme = /^(sips?):/i.exec(text)?.[1];
  if (scheme === undefined || /[\s<>"]/.test(text)) throw malformed();
  const rest = text.slice(scheme.length + 1);
  const at = rest.indexOf('@');
  const [user, password] = at === -1 ? [] : splitOnce(rest.slice(0, at), ':');
  const target = /^(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::([0-9]{1,5}))?(;[^?]*)?(?:\?(.*))?$/.exec(rest.slice(at + 1));
  if (target === null || user === '') throw malformed();
  const [, host = '', port, params = '', headers = ''] = target;
  if (port !== undefined && Number(port) > 65535) throw malformed();
  return {
    scheme: scheme.toLowerCase() === 'sips' ? 'sips' : 'sip',
    user,
    password,
    host,
    port: port === undefined ? undefined : Number(port),
    params: pairs(params, ';', (name) => name.toLowerCase()),
    headers: new Map([...pairs(headers, '&', (name) => name)].map(([name, value]) => [name, value ?? ''])),
  };
}

/** Writes a sip: or sips: URI, parameters and headers in their order. */
export function formatSipUri(uri: SipUri): string {
  const user = uri.user === undefined ? '' : `${uri.user}${uri.password === undefined ? '' : `:${uri.password}`}@`;
  const port = uri.port === undefined ? '' : `:${uri.port}`;
  const params = [...uri.params].map(([name, value]) => (value === undefined ? `;${name}` : `;${name}=${value}`));
  const headers = [...uri.headers].map(([name, value]) => `${name}=${value}`);
  return `${uri.scheme}:${user}${uri.host}${port}${params.join('')}${headers.length === 0 ? '' : `?${headers.join('&')}`}`;
}

/** Whether two URIs are equivalent (RFC 3261 §19.1.4); `gr` counts as well. */
export function sameSipUri(a: SipUri, b: SipUri): boolean {
  return (
    a.scheme === b.scheme &&
    normalizeEscapes(a.user ?? '@') === normalizeEscapes(b.user ?? '@') &&
    normalizeEscapes(a.password ?? '@') === normalizeEscapes(b.password ?? '@') &&
    a.host.toLowerCase() === b.host.toLowerCase() &&
    a.port === b.port &&
    SIGNIFICANT.every((name) => a.params.has(name) === b.params.has(name)) &&
    [...a.params].every(([name, value]) => !b.params.has(name) || sameText(value, b.params.get(name))) &&
    sameHeaders(a.headers, b.headers)
  );
}

function sameHeaders(a: SipUri['headers'], b: SipUri['headers']): boolean {
  const byName = new Map([...b].map(([name, value]) => [name.toLowerCase(), value]));
  return a.size === b.size && [...a].every(([name, value]) => sameText(value, byName.get(name.toLowerCase())));
}

function sameText(a: string | undefined, b: string | undefined): boolean {
  return normalizeEscapes(a ?? '').toLowerCase() === normalizeEscapes(b ?? '').toLowerCase();
}

function pairs(text: string, separator: string, key: (name: string) => string): Map<string, string | undefined> {
  const found = new Map<string, string | undefined>();
  for (const piece of text.split(separator)) {
    const [name, value] = splitOnce(piece, '=');
    if (name !== '' && !found.has(key(name))) found.set(key(name), value);
  }
  return found;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

function malformed(): CpmError {
  return new CpmError('CPM_SIP_URI', 400, 'this is not a sip: or sips: URI');
}
