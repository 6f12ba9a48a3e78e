/** XML and the documents that are made of it. */
import {formatImdn, parseImdn} from '../../../lib/codecs/imdn.ts';
import {formatIsComposing, parseIsComposing} from '../../../lib/codecs/iscomposing.ts';
import {parseReginfo} from '../../../lib/codecs/reginfo.ts';
import {type XmlElement, escapeXml, parseXml} from '../../../lib/codecs/xml.ts';
import {attempt, few, promise, promiseSame, type Target} from '../target.ts';

const words = [
  ...[
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE a [<!ENTITY e "x">]>',
    '<!--',
    '-->',
    '<![CDATA[',
    ']]>',
    '<?pi ',
    '?>',
    '/>',
    '</',
  ],
  ...[
    'xmlns="',
    'xmlns:a="',
    'a:',
    'xml:lang="en"',
    '&lt;',
    '&#x41;',
    '&#1114112;',
    '&unknown;',
    '__proto__',
    '#text',
    '<constructor/>',
  ],
];

export const xml: Target = {
  name: 'xml',
  clause: 'E9 XML 1.0',
  dictionary: words,
  check(input) {
    const {value: root, refusal} = attempt(() => parseXml(input), 'CPM_XML');
    if (root === undefined) return refusal;
    promise(depthOf(root) <= 32, 'elements nest no deeper than allowed');
    // What is no name with namespaces (two colons, one at an end, or a digit behind one) is not written again.
    if (hasNames(root))
      promiseSame(
        parseXml(formatXml(root), {maxOctets: 8_000_000}),
        legal(root),
        'a document is written as it was read',
      );
    return `${depthOf(root)} ${few(countOf(root))} ${few(root.text.length)} ${root.namespace === undefined}`;
  },
};

export const imdn: Target = {
  name: 'imdn',
  clause: 'RFC 5438 §7',
  dictionary: [
    ...words,
    'message-id',
    'delivery-notification',
    'display-notification',
    'status',
    '<delivered/>',
    '<displayed/>',
    'datetime',
    'imdn',
  ],
  check(input) {
    const {value, refusal} = attempt(() => parseImdn(input), 'CPM_XML', 'CPM_IMDN');
    if (value === undefined) return refusal ?? 'nothing';
    const written = formatImdn(value);
    const second = parseImdn(written);
    promise(second !== undefined && formatImdn(second) === written, 'a notification is written as it was read');
    return `${value.kind} ${value.status} ${value.dateTime !== undefined} ${value.recipientUri !== undefined}`;
  },
};

export const iscomposing: Target = {
  name: 'iscomposing',
  clause: 'RFC 3994 §4',
  dictionary: [...words, 'isComposing', '<state>active</state>', 'idle', 'refresh', 'lastactive', 'contenttype'],
  check(input) {
    const {value, refusal} = attempt(() => parseIsComposing(input), 'CPM_XML', 'CPM_ISCOMPOSING');
    if (value === undefined) return refusal;
    const written = formatIsComposing(value);
    promise(formatIsComposing(parseIsComposing(written)) === written, 'an indication is written as it was read');
    return `${value.state} ${value.contentType !== undefined} ${value.refreshSeconds !== undefined}`;
  },
};

export const reginfo: Target = {
  name: 'reginfo',
  clause: 'E9 RFC 3680 §5',
  dictionary: [
    ...words,
    'registration',
    'contact',
    'aor="',
    'state="active"',
    'event="',
    'version="',
    'expires="',
    'unknown-param',
    'q="',
    'gr:pub-gruu',
  ],
  check(input) {
    const {value, refusal} = attempt(() => parseReginfo(input), 'CPM_XML', 'CPM_REGINFO');
    if (value === undefined) return refusal;
    promise(Number.isSafeInteger(value.version), 'a version is a number');
    const contacts = value.registrations.flatMap((each) => each.contacts);
    for (const {uri, q = 0} of contacts)
      promise(uri !== '' && q >= 0 && q <= 1, 'a contact has a URI, and q from 0 to 1');
    return `${value.state} ${few(value.registrations.length)} ${few(contacts.length)} ${contacts.some(({params}) => params.size > 0)}`;
  },
};

function hasNames({name, attributes, children}: XmlElement): boolean {
  // Names of JavaScript's own are refused, or changed, by the library.
  const isName = (text: string) =>
    /^(?!__|prototype$)[\p{L}_][\p{L}\p{N}\p{M}_.-]*$/u.test(text) && !(text in Object.prototype);
  const written = attributes.map((attribute) => `${attribute.namespace ?? ''} ${attribute.name}`);
  if (new Set(written).size < written.length) return false; // told apart by prefixes that nobody declared
  return isName(name) && attributes.every((attribute) => isName(attribute.name)) && children.every(hasNames);
}

function depthOf(element: XmlElement): number {
  return 1 + Math.max(0, ...element.children.map(depthOf));
}

function countOf({children}: XmlElement): number {
  return children.reduce((count, child) => count + countOf(child), 1);
}

/** Every element declares its own namespaces; text comes before children, which a tree does not tell apart. */
function formatXml({name, namespace, attributes, children, text}: XmlElement): string {
  const declared = attributes.map((attribute, index) =>
    attribute.namespace === undefined || attribute.namespace === xmlNamespace
      ? ` ${attribute.namespace === undefined ? '' : 'xml:'}${attribute.name}="${escapeXml(attribute.value)}"`
      : ` xmlns:n${index}="${escapeXml(attribute.namespace)}" n${index}:${attribute.name}="${escapeXml(attribute.value)}"`,
  );
  const inner = `${escapeXml(text)}${children.map(formatXml).join('')}`;
  return `<${name} xmlns="${escapeXml(namespace ?? '')}"${declared.join('')}>${inner}</${name}>`;
}

const xmlNamespace = 'http://www.w3.org/XML/1998/namespace';
const legalText = (text: string) => text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd');

/** The tree without the characters that cannot be written. */
function legal(element: XmlElement): XmlElement {
  return {
    ...element,
    namespace: element.namespace === undefined ? undefined : legalText(element.namespace),
    attributes: element.attributes.map((attribute) => ({
      ...attribute,
      namespace: attribute.namespace === undefined ? undefined : legalText(attribute.namespace),
      value: legalText(attribute.value),
    })),
    children: element.children.map(legal),
    text: legalText(element.text),
  };
}
