/** Registration state as the reg event package tells it (RFC 3680 §5), with GRUUs (RFC 5628 §5). */
import {CpmError} from '../errors.ts';
import {type Params, unquote} from './tokens.ts';
import {
  type XmlElement,
  isElement,
  parseXml,
  xmlAttribute,
  xmlChild,
  xmlChildText,
  xmlChildren,
  xmlDigits,
  xmlOneOf,
} from './xml.ts';

const NAMESPACE = 'urn:ietf:params:xml:ns:reginfo';

export type ContactEvent =
  | 'registered'
  | 'created'
  | 'refreshed'
  | 'shortened'
  | 'expired'
  | 'deactivated'
  | 'probation'
  | 'unregistered'
  | 'rejected';

/** One document. */
export interface Reginfo {
  /** Grows by one with each document of a subscription. */
  readonly version: number;
  /** `full` replaces all that is known; `partial` changes what it names, by the ids of registrations and contacts. */
  readonly state: 'full' | 'partial';
  readonly registrations: readonly RegistrationInfo[];
}

/** One address-of-record. */
export interface RegistrationInfo {
  readonly aor: string;
  readonly id: string;
  readonly state: 'init' | 'active' | 'terminated';
  readonly contacts: readonly ContactInfo[];
}

/** One contact of it. */
export interface ContactInfo {
  readonly id: string;
  readonly state: 'active' | 'terminated';
  /** Undefined where it is none of RFC 3680's. */
  readonly event: ContactEvent | undefined;
  readonly uri: string;
  readonly expiresSeconds: number | undefined;
  readonly retryAfterSeconds: number | undefined;
  /** 0 to 1. */
  readonly q: number | undefined;
  readonly callId: string | undefined;
  /** Parameters of the Contact, quotes taken off: read them with sip-headers/features. */
  readonly params: Params;
  readonly publicGruu: string | undefined;
  readonly temporaryGruu: string | undefined;
}

const EVENTS: readonly ContactEvent[] = [
  ...(['registered', 'created', 'refreshed', 'shortened'] as const),
  ...(['expired', 'deactivated', 'probation', 'unregistered', 'rejected'] as const),
];

/**
 * Reads a document.
 *
 * @throws CpmError `CPM_XML` or `CPM_REGINFO` (400).
 */
export function parseReginfo(xml: string | Uint8Array): Reginfo {
  const root = parseXml(xml);
  if (!isElement(root, 'reginfo', NAMESPACE)) throw malformed('its root is another element');
  return {
    version: xmlDigits(root, 'version') ?? refuse('it has no version'),
    state: xmlOneOf(xmlAttribute(root, 'state'), ['full', 'partial']) ?? refuse('it is neither full nor partial'),
    registrations: xmlChildren(root, 'registration').map(registration),
  };
}

function registration(element: XmlElement): RegistrationInfo {
  return {
    aor: xmlAttribute(element, 'aor')?.trim() ?? refuse('a registration has no address-of-record'),
    id: xmlAttribute(element, 'id') ?? refuse('a registration has no id'),
    state:
      xmlOneOf(xmlAttribute(element, 'state'), ['init', 'active', 'terminated']) ??
      refuse('a registration has no state'),
    contacts: xmlChildren(element, 'contact').map(contact),
  };
}

function contact(element: XmlElement): ContactInfo {
  const q = xmlAttribute(element, 'q') ?? '';
  return {
    id: xmlAttribute(element, 'id') ?? refuse('a contact has no id'),
    state: xmlOneOf(xmlAttribute(element, 'state'), ['active', 'terminated']) ?? refuse('a contact has no state'),
    event: xmlOneOf(xmlAttribute(element, 'event'), EVENTS),
    uri: xmlChildText(element, 'uri') ?? refuse('a contact has no URI'),
    expiresSeconds: xmlDigits(element, 'expires'),
    retryAfterSeconds: xmlDigits(element, 'retry-after'),
    q: /^(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)$/.test(q) ? Number(q) : undefined,
    callId: xmlAttribute(element, 'callid'),
    params: params(element),
    publicGruu: gruu(element, 'pub-gruu'),
    temporaryGruu: gruu(element, 'temp-gruu'),
  };
}

function params(element: XmlElement): Params {
  const found = xmlChildren(element, 'unknown-param').flatMap(({attributes, text}): [string, string | undefined][] => {
    const name = attributes
      .find((attribute) => attribute.name === 'name')
      ?.value.trim()
      .toLowerCase();
    return name === undefined ? [] : [[name, text.trim() === '' ? undefined : unquote(text)]];
  });
  return new Map(found);
}

function gruu(element: XmlElement, name: string): string | undefined {
  const child = xmlChild(element, name);
  return child === undefined ? undefined : xmlAttribute(child, 'uri');
}

function refuse(why: string): never {
  throw malformed(why);
}

function malformed(why: string): CpmError {
  return new CpmError('CPM_REGINFO', 400, `the registration state cannot be read: ${why}`);
}
