/**
 * One key per identity: `tel:+15550100`, `sip:+1-555-0100@home.example;user=phone` and `sip:+15550100@home.example` are one person
 * (TS 24.229 §5.4.1.7: an identity comes in both schemes), and must meet in one queue.
 */
import {CpmError} from '../errors.ts';
import {normalizeEscapes, resolveEscapes} from './percent-escapes.ts';

// Longest URI that is looked at: identities are short, and a key has to fit an index of the store.
const MAX_ADDRESS = 1024;
const VISUAL_SEPARATORS = /[-.()]/g;

interface SipParts {
  /** As written, with parameters of its own, without password. */
  readonly user: string | undefined;
  /** Lower case. */
  readonly host: string;
  readonly phone: boolean;
}

/**
 * Canonical key of a tel:, sip: or sips: URI, undefined for anything else.
 *
 * Telephone numbers become `tel:+digits`, or `tel:digits;phone-context=…` for local ones (RFC 3966 §5). A sip: or sips: URI counts as a
 * telephone number when its user part is a global number, or says `user=phone` (RFC 3261 §19.1.6). All others become `sip:user@host`.
 */
export function canonicalAddress(uri: string): string | undefined {
  const text = uri.trim();
  if (text.length > MAX_ADDRESS) return undefined;
  if (/^tel:/i.test(text)) return telephoneKey(text.slice(4));
  const sip = splitSip(text);
  if (sip === undefined) return undefined;
  if (sip.user === undefined) return `sip:${sip.host}`;
  const number = resolveEscapes(sip.user);
  if (number.startsWith('+') || (sip.phone && number.includes(';phone-context='))) {
    const key = telephoneKey(number);
    if (key !== undefined) return key;
  }
  return `sip:${normalizeEscapes(sip.user)}@${sip.host}`;
}

/**
 * The same address as a Request-URI that may leave the PF: a tel: URI, or its key, is written `sip:+number@home;user=phone`
 * (RFC 3261 §19.1.6), because the SIP server cannot send a tel: Request-URI. sip: and sips: URIs stay as they are.
 *
 * @throws CpmError `CPM_ADDRESS` (404) when it is no tel:, sip: or sips: URI.
 */
export function asSipRequestUri(address: string, homeDomain: string): string {
  const text = address.trim();
  if (text.length <= MAX_ADDRESS) {
    const key = /^tel:/i.test(text) ? telephoneKey(text.slice(4)) : undefined;
    if (key !== undefined) return `sip:${key.slice(4)}@${homeDomain};user=phone`;
    if (splitSip(text) !== undefined) return text;
  }
  throw new CpmError('CPM_ADDRESS', 404, 'the address is neither a tel: nor a sip: URI');
}

/** `number` is what follows `tel:`: digits, visual separators and parameters. */
function telephoneKey(number: string): string | undefined {
  const [subscriber = '', ...params] = number.split(';');
  const digits = subscriber.replace(VISUAL_SEPARATORS, '');
  if (/^\+[0-9]+$/.test(digits)) return `tel:${digits}`;
  if (!/^[0-9A-Fa-f*#]+$/.test(digits)) return undefined;
  const context = params.find((param) => /^phone-context=./i.test(param))?.slice('phone-context='.length);
  if (context === undefined) return `tel:${digits.toUpperCase()}`;
  if (!/^[+A-Za-z0-9.\-()]+$/.test(context)) return undefined;
  const domain = context.startsWith('+') ? context.replace(VISUAL_SEPARATORS, '') : context.toLowerCase();
  return `tel:${digits.toUpperCase()};phone-context=${domain}`;
}

/** Just what an identity needs; lib/codecs/sip-headers/sip-uri reads the whole URI. */
function splitSip(text: string): SipParts | undefined {
  const scheme = /^sips?:/i.exec(text)?.[0];
  // Neither blanks, controls nor what would end a URI in a header may stand in it.
  if (scheme === undefined || /[\s<>"\\^`{|}\u0000-\u001f\u007f]/.test(text)) return undefined;
  const at = text.indexOf('@');
  const rest = text.slice(at === -1 ? scheme.length : at + 1);
  const host = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)/.exec(rest)?.[0];
  if (host === undefined || !/^(?::[0-9]{1,5})?(?:[;?]|$)/.test(rest.slice(host.length))) return undefined;
  const user = at === -1 ? undefined : text.slice(scheme.length, at).split(':', 1)[0];
  if (user === '') return undefined;
  const params = rest.slice(host.length).split('?', 1)[0] ?? '';
  return {user, host: host.toLowerCase(), phone: /;user=phone(?:;|$)/i.test(params)};
}
