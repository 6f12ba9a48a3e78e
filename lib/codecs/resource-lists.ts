/**
 * Lists of people as SIP requests carry them: resource-lists (RFC 4826 §3.2) with copy control (RFC 5364 §4). They are flat: what is nested is
 * read as if it were not, and references to lists elsewhere are left out (RFC 5366 §4).
 *
 * @clause E9
 */
import {CpmError} from '../errors.ts';
import {isType, mimeHeader} from './mime.ts';
import {leafParts, type Part} from './multipart.ts';
import {opaqueId} from './sip-headers/cpm-ids.ts';
import {
  type XmlElement,
  formatElement,
  formatLeaf,
  isElement,
  parseXml,
  xmlAttribute,
  xmlBoolean,
  xmlChildText,
  xmlDigits,
  xmlOneOf,
} from './xml.ts';

export const RESOURCE_LISTS_TYPE = 'application/resource-lists+xml';
const NAMESPACE = 'urn:ietf:params:xml:ns:resource-lists';
const COPY_CONTROL_NAMESPACE = 'urn:ietf:params:xml:ns:copycontrol';

/** One person, or several who are not named. */
export interface ListEntry {
  /** Without the headers that its `?` part asks for. */
  readonly uri: string;
  /** Headers for the request to him, in order (RFC 3261 §19.1.1): `Session-Replaces`. */
  readonly headers?: readonly UriHeader[] | undefined;
  readonly displayName?: string | undefined;
  readonly copyControl?: 'to' | 'cc' | 'bcc' | undefined;
  /** The others are not to learn of him. */
  readonly anonymize?: boolean | undefined;
  /** How many such people the entry stands for. */
  readonly count?: number | undefined;
}

export interface UriHeader {
  readonly name: string;
  /** Escapes resolved. */
  readonly value: string;
}

/** Why a list is in a request: to invite these (RFC 5366 §4), or to tell who else was invited (RFC 5364 §7). */
export type ListPurpose = 'recipient-list' | 'recipient-list-history';

/**
 * Reads a document; entries without a URI are left out.
 *
 * @throws CpmError `CPM_XML` or `CPM_RESOURCE_LISTS` (400).
 */
export function parseResourceLists(xml: string | Uint8Array): readonly ListEntry[] {
  const root = parseXml(xml);
  if (!isElement(root, 'resource-lists', NAMESPACE)) {
    throw new CpmError(
      'CPM_RESOURCE_LISTS',
      400,
      'the list of participants cannot be read: its root is another element',
    );
  }
  return root.children.flatMap(entriesOf);
}

/** Writes a document with one list, attributes and elements as the schema has them. */
export function formatResourceLists(entries: readonly ListEntry[]): string {
  const controlled = entries.some(
    ({copyControl, anonymize, count}) => copyControl !== undefined || anonymize !== undefined || count !== undefined,
  );
  const attributes = {xmlns: NAMESPACE, 'xmlns:cp': controlled ? COPY_CONTROL_NAMESPACE : undefined};
  // One line each: SIP servers refuse a message with a line of 8 KiB.
  const list = formatElement('list', {}, entries.map(formatEntry).join('\r\n'));
  return `<?xml version="1.0" encoding="UTF-8"?>\r\n${formatElement('resource-lists', attributes, list)}\r\n`;
}

/** What goes into a multipart body: `handling=optional` where the receiver need not understand it (RFC 5364 §7). */
export function resourceListsPart(entries: readonly ListEntry[], purpose: ListPurpose): Pick<Part, 'headers' | 'body'> {
  const disposition = purpose === 'recipient-list' ? purpose : `${purpose};handling=optional`;
  return {
    headers: [
      {name: 'Content-Type', value: RESOURCE_LISTS_TYPE},
      {name: 'Content-Disposition', value: disposition},
    ],
    body: Buffer.from(formatResourceLists(entries)),
  };
}

/**
 * The list in a body, wherever it is in it, and its purpose as far as it says one; undefined where there is none.
 *
 * @throws CpmError `CPM_MULTIPART`, `CPM_XML` or `CPM_RESOURCE_LISTS` (400).
 */
export function resourceListsIn(
  contentType: string,
  body: Uint8Array,
): {readonly entries: readonly ListEntry[]; readonly purpose: ListPurpose | undefined} | undefined {
  const part = leafParts(body, contentType).find((each) => isType(each.contentType, RESOURCE_LISTS_TYPE));
  if (part === undefined) return undefined;
  const disposition = mimeHeader(part.headers, 'Content-Disposition')?.split(';')[0]?.toLowerCase();
  return {
    entries: parseResourceLists(part.body),
    purpose: xmlOneOf(disposition, ['recipient-list', 'recipient-list-history']),
  };
}

/** Contribution-ID of the 1-1 session with this person that the group takes the place of. */
export function sessionReplaces({headers = []}: ListEntry): string | undefined {
  return opaqueId(headers.find(({name}) => name.toLowerCase() === 'session-replaces')?.value);
}

function entriesOf(element: XmlElement): readonly ListEntry[] {
  if (element.name === 'list') return element.children.flatMap(entriesOf);
  const written = element.name === 'entry' ? xmlAttribute(element, 'uri')?.trim() : undefined;
  if (written === undefined || written === '') return [];
  const {uri, headers} = splitUri(written);
  return [
    {
      uri,
      headers,
      displayName: xmlChildText(element, 'display-name'),
      copyControl: xmlOneOf(xmlAttribute(element, 'copyControl')?.toLowerCase(), ['to', 'cc', 'bcc']),
      anonymize: xmlBoolean(xmlAttribute(element, 'anonymize')),
      count: xmlDigits(element, 'count'),
    },
  ];
}

function formatEntry({uri, headers, displayName, copyControl, anonymize, count}: ListEntry): string {
  const attributes = {
    uri: `${uri}${formatHeaders(headers ?? [])}`,
    'cp:copyControl': copyControl,
    'cp:anonymize': anonymize?.toString(),
    'cp:count': count?.toString(),
  };
  return formatElement('entry', attributes, formatLeaf('display-name', displayName));
}

/** A `?` begins headers in sip: and sips: URIs alone, and only behind the host: a user part may have one. */
function splitUri(text: string): {readonly uri: string; readonly headers: readonly UriHeader[] | undefined} {
  const at = /^sips?:/i.test(text) ? text.indexOf('?', text.indexOf('@') + 1) : -1;
  if (at === -1) return {uri: text, headers: undefined};
  const headers = text
    .slice(at + 1)
    .split('&')
    .map((pair) => {
      const [name = '', ...value] = pair.split('=');
      return {name: unescaped(name), value: unescaped(value.join('='))};
    })
    .filter(({name}) => name !== '');
  return {uri: text.slice(0, at), headers: headers.length === 0 ? undefined : headers};
}

function formatHeaders(headers: readonly UriHeader[]): string {
  const pairs = headers.map(({name, value}) => `${escaped(name)}=${escaped(value)}`);
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** Half a character of UTF-16 has no escape. */
function escaped(text: string): string {
  return encodeURIComponent(text.replace(/\p{Surrogate}/gu, '\ufffd'));
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // as it was written: an escape that makes no sense
  }
}
