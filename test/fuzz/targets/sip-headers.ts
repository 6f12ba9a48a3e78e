import {formatAcceptContact, parseAcceptContact} from '../../../lib/codecs/sip-headers/accept-contact.ts';
import {
  parseAssertedIdentity,
  parseAssertedService,
  parseServedUser,
} from '../../../lib/codecs/sip-headers/asserted.ts';
import {isFocus, parseContacts} from '../../../lib/codecs/sip-headers/contact.ts';
import {opaqueId} from '../../../lib/codecs/sip-headers/cpm-ids.ts';
import {hasSipIm, icsis, sipInstance} from '../../../lib/codecs/sip-headers/features.ts';
import {
  type NameAddr,
  formatNameAddr,
  parseNameAddr,
  parseNameAddrs,
} from '../../../lib/codecs/sip-headers/name-addr.ts';
import {formatReason, parseReason, sipCause} from '../../../lib/codecs/sip-headers/reason.ts';
import {parseReferredBy} from '../../../lib/codecs/sip-headers/referred-by.ts';
import {parseRequestDisposition} from '../../../lib/codecs/sip-headers/request-disposition.ts';
import {formatSessionExpires, parseMinSe, parseSessionExpires} from '../../../lib/codecs/sip-headers/session-timer.ts';
import {formatSipUri, parseSipUri, sameSipUri} from '../../../lib/codecs/sip-headers/sip-uri.ts';
import {type Params, quote, unquote} from '../../../lib/codecs/tokens.ts';
import {asSipRequestUri, canonicalAddress} from '../../../lib/cpm/address.ts';
import {attempt, few, promise, promiseSame, type Target} from '../target.ts';

/** Values of SIP headers: an input is one, and every reader gets it. */
export const sipHeaders: Target = {
  name: 'sip-headers',
  clause: 'RFC 3261 §20',
  longest: 8192,
  dictionary: [
    ...[
      'sip:',
      'sips:',
      'tel:',
      '<sip:a@b>',
      ';tag=',
      ';user=phone',
      ';gr=',
      ';lr',
      '?a=b',
      '"Bob" ',
      '%41',
      '[::1]',
      ';phone-context=',
    ],
    ...[
      'SIP;cause=200;text="',
      'Q.850;cause=16',
      '1800;refresher=uac',
      ';sescase=term',
      'urn:urn-7:3gpp-service',
      '*;+g.3gpp.icsi-ref="',
      ';require;explicit',
      '+sip.instance="<urn:',
    ],
  ],
  check(input) {
    const text = input.toString();
    const shapes = [
      ...[uri(text), nameAddr(text), reason(text), timer(text)],
      few(parseAcceptContact(text).length),
      few(parseAssertedService(text).length),
      few(parseRequestDisposition(text).length),
      opaqueId(text) !== undefined,
    ];
    for (const {features} of parseAcceptContact(text)) featuresOf(features);
    for (const reader of [parseAssertedIdentity, parseServedUser, parseReferredBy, parseContacts])
      attempt(() => reader(text), 'CPM_HEADER');
    return shapes.join(' ');
  },
};

function uri(text: string): string {
  const key = canonicalAddress(text);
  if (key !== undefined) promise(canonicalAddress(key) === key, 'the key of an address is its own key');
  attempt(() => asSipRequestUri(text, 'home.example'), 'CPM_ADDRESS');
  const {value: read, refusal} = attempt(() => parseSipUri(text), 'CPM_SIP_URI');
  if (read === undefined) return `${refusal} ${key !== undefined}`;
  const written = parseSipUri(formatSipUri(read));
  promiseSame(written, read, 'a URI is written as it was read');
  promise(sameSipUri(written, read), 'a URI equals itself');
  return `${read.scheme} ${read.user !== undefined} ${few(read.params.size)} ${few(read.headers.size)} ${key?.slice(0, 4) ?? ''}`;
}

function nameAddr(text: string): string {
  const {value: list = [], refusal} = attempt(() => parseNameAddrs(text), 'CPM_HEADER');
  attempt(() => parseNameAddr(text), 'CPM_HEADER');
  for (const each of list) {
    isFocus(each);
    featuresOf(each.params);
    if (!areNames(each.params)) continue;
    // Written from parameters that have names and display names without controls, which become blanks.
    const plain = (name: string | undefined) => (name === undefined ? undefined : unquote(quote(name)) || undefined);
    const values = new Map([...each.params].map(([name, value]) => [name, plain(value) ?? value]));
    const expected: NameAddr = {...each, displayName: plain(each.displayName), params: values};
    promiseSame(parseNameAddr(formatNameAddr(expected)), expected, 'an address is written as it was read');
  }
  return `${refusal ?? ''} ${few(list.length)} ${list.some(({displayName}) => displayName !== undefined)}`;
}

function featuresOf(params: Params): void {
  icsis(params);
  hasSipIm(params);
  const instance = sipInstance(params);
  attempt(() => formatAcceptContact({instance, icsi: icsis(params).at(0)}), 'CPM_HEADER');
}

function reason(text: string): string {
  const reasons = parseReason(text);
  const cause = sipCause(text);
  if (reasons.every(({params}) => areNames(params ?? new Map<string, string>()))) {
    const written = formatReason(...reasons);
    promise(formatReason(...parseReason(written)) === written, 'a Reason is written as it was read');
    promise(sipCause(written) === cause, 'the cause stays');
  }
  return `${few(reasons.length)} ${typeof cause}`;
}

function timer(text: string): string {
  attempt(() => parseMinSe(text), 'CPM_HEADER');
  const {value, refusal} = attempt(() => parseSessionExpires(text), 'CPM_HEADER');
  if (value === undefined) return refusal;
  promiseSame(parseSessionExpires(formatSessionExpires(value)), value, 'a session timer is written as it was read');
  return value.refresher ?? 'none';
}

function areNames(params: Params): boolean {
  return [...params.keys()].every((name) => /^[\w.!%*+`'~-]+$/.test(name));
}
