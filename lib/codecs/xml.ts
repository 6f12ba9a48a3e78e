/**
 * The one place that reads XML (row E9): no DTD, no entities beyond the five of XML and numeric ones, bounded in size and depth, prefixes
 * resolved to namespaces.
 */
import {XMLParser, XMLValidator} from 'fast-xml-parser';
import {CpmError} from '../errors.ts';

/** An element; comments and processing instructions are left out. */
export interface XmlElement {
  /** Without prefix. */
  readonly name: string;
  /** Undefined where none is declared, or the prefix is not. */
  readonly namespace: string | undefined;
  readonly attributes: readonly XmlAttribute[];
  readonly children: readonly XmlElement[];
  /** The element's own text and CDATA, put together, as it stands. */
  readonly text: string;
}

/** An attribute; without prefix it belongs to no namespace. */
export interface XmlAttribute {
  readonly name: string;
  readonly namespace: string | undefined;
  readonly value: string;
}

export interface XmlLimits {
  readonly maxOctets: number;
  /** Elements in elements. */
  readonly maxDepth: number;
}

// Registration states and conference rosters of some thousand entries fit; every schema of CPM is less than ten deep.
const LIMITS: XmlLimits = {maxOctets: 262_144, maxDepth: 32};
const XML_NAMESPACE = 'http://www.w3.org/XML/1998/namespace';

/**
 * Reads a document (UTF-8) and gives its root.
 *
 * @throws CpmError `CPM_XML` (400) when it is not well-formed, too large or too deep, or has a DTD.
 */
export function parseXml(document: string | Uint8Array, limits: Partial<XmlLimits> = {}): XmlElement {
  const {maxOctets, maxDepth} = {...LIMITS, ...limits};
  if ((typeof document === 'string' ? Buffer.byteLength(document) : document.length) > maxOctets)
    throw malformed('it is too large');
  const text = decode(document);
  if (/<!(?:DOCTYPE|ENTITY)/i.test(text)) throw malformed('it has a DTD');
  const [root, second] = wellFormed(text, maxDepth).filter((node) => elementName(node) !== undefined);
  if (root === undefined || second !== undefined) throw malformed('it has not one root');
  return element(root, {declared: new Map([['xml', XML_NAMESPACE]]), outer: undefined});
}

/** Whether an element is the named one; no namespace at all is forgiven, another one is not. */
export function isElement({name, namespace}: XmlElement, wanted: string, wantedNamespace: string): boolean {
  return name === wanted && (namespace === undefined || namespace === wantedNamespace);
}

/** The children of that name, in any namespace. */
export function xmlChildren(parent: XmlElement, name: string): readonly XmlElement[] {
  return parent.children.filter((child) => child.name === name);
}

/** The first child of that name, in any namespace. */
export function xmlChild(parent: XmlElement, name: string): XmlElement | undefined {
  return parent.children.find((child) => child.name === name);
}

/** The text of the first child of that name without blanks around it; undefined where there is no such child, or no text. */
export function xmlChildText(parent: XmlElement, name: string): string | undefined {
  const text = xmlChild(parent, name)?.text.trim();
  return text === '' ? undefined : text;
}

/** The value of the attribute of that name, whatever its prefix. */
export function xmlAttribute(from: XmlElement, name: string): string | undefined {
  return from.attributes.find((attribute) => attribute.name === name)?.value;
}

/** The value of an attribute that is a number without sign of at most ten digits. */
export function xmlDigits(from: XmlElement, name: string): number | undefined {
  return digitsOf(xmlAttribute(from, name));
}

/** A text that is such a number. */
export function digitsOf(text: string | undefined): number | undefined {
  const digits = text?.trim() ?? '';
  return /^[0-9]{1,10}$/.test(digits) ? Number(digits) : undefined;
}

/** Which of the values an attribute, or an element, has; undefined where it has none of them. */
export function xmlOneOf<T extends string>(text: string | undefined, values: readonly T[]): T | undefined {
  const value = text?.trim();
  return values.find((known) => known === value);
}

/** An xs:boolean, in any letter case. */
export function xmlBoolean(text: string | undefined): boolean | undefined {
  const value = xmlOneOf(text?.toLowerCase(), ['true', 'false', '1', '0']);
  return value === undefined ? undefined : value === 'true' || value === '1';
}

/** Writes an element; attributes that are undefined are left out. `content` is XML already. */
export function formatElement(
  name: string,
  attributes: Readonly<Record<string, string | undefined>>,
  content = '',
): string {
  const written = Object.entries(attributes).map(([key, value]) =>
    value === undefined ? '' : ` ${key}="${escapeXml(value)}"`,
  );
  return content === '' ? `<${name}${written.join('')}/>` : `<${name}${written.join('')}>${content}</${name}>`;
}

/** Writes an element with a text; where there is none, nothing. */
export function formatLeaf(name: string, text: string | undefined): string {
  return text === undefined ? '' : formatElement(name, {}, escapeXml(text));
}

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Text as content or as an attribute's value; characters that XML 1.0 does not know become U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .replace(/\p{Surrogate}/gu, '\ufffd')
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .replace(/[&<>"'\t\n\r]/g, (character) => ESCAPED[character] ?? `&#${character.charCodeAt(0)};`);
}

/** A node of the library's ordered form: `{name: children, ':@': attributes}`, `{'#text': …}` or `{'#cdata': [{'#text': …}]}`. */
type Node = Readonly<Record<string, unknown>>;

function decode(document: string | Uint8Array): string {
  if (typeof document === 'string') return document.replace(/^\ufeff/, '');
  try {
    return new TextDecoder('utf-8', {fatal: true}).decode(document);
  } catch (error) {
    throw malformed('it is not UTF-8', error);
  }
}

function wellFormed(text: string, maxDepth: number): readonly Node[] {
  const parser = new XMLParser({
    preserveOrder: true,
    ignoreAttributes: false,
    attributeNamePrefix: '',
    cdataPropName: '#cdata',
    ignoreDeclaration: true,
    ignorePiTags: true,
    processEntities: false,
    parseTagValue: false,
    trimValues: false,
    maxNestedTags: maxDepth - 1, // the root is not counted
    jPath: false,
  });
  try {
    // The parser alone lets elements overlap. The check has moved to a package of its own; this one stays in the one we have.
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    if (XMLValidator.validate(text) === true) return parser.parse(text) as readonly Node[];
  } catch (error) {
    throw malformed('it is not well-formed', error);
  }
  throw malformed('it is not well-formed');
}

/** Namespaces by prefix, those of the element first; a chain, since copies would cost a document of many declarations dearly. */
interface Scope {
  readonly declared: ReadonlyMap<string, string>;
  readonly outer: Scope | undefined;
}

/** Name of XML 1.0 §2.3, a little wider: what no name can hold is markup. */
const NAME = /^[\p{L}_:][\p{L}\p{N}\p{M}\u00b7_:.-]*$/u;

function element(node: Node, outer: Scope): XmlElement {
  const written = elementName(node) ?? '';
  // The library takes `<!</a` for an element.
  if (!NAME.test(written)) throw malformed('it is not well-formed');
  const attributes = Object.entries((node[':@'] ?? {}) as Readonly<Record<string, string>>).map(
    ([name, value]) => [name, resolveEntities(value)] as const,
  );
  const declarations = attributes.filter(([name]) => isDeclaration(name));
  const scope = {declared: new Map(declarations.map(([name, uri]) => [name.slice('xmlns:'.length), uri])), outer};
  const content = node[written] as readonly Node[];
  return {
    ...qualified(written, scope, namespaceOf('', scope)),
    attributes: attributes.flatMap(([name, value]) =>
      isDeclaration(name) ? [] : [{...qualified(name, scope), value}],
    ),
    children: content.filter((child) => elementName(child) !== undefined).map((child) => element(child, scope)),
    text: content.map(textOf).join(''),
  };
}

function isDeclaration(name: string): boolean {
  return name === 'xmlns' || name.startsWith('xmlns:');
}

function qualified(written: string, scope: Scope, unprefixed?: string): Pick<XmlAttribute, 'name' | 'namespace'> {
  const colon = written.indexOf(':');
  // A colon that begins a name has no prefix before it, and the name is another one than without.
  if (colon < 1) return {name: written, namespace: unprefixed};
  return {name: written.slice(colon + 1), namespace: namespaceOf(written.slice(0, colon), scope)};
}

function namespaceOf(prefix: string, scope: Scope): string | undefined {
  for (let at: Scope | undefined = scope; at !== undefined; at = at.outer) {
    const uri = at.declared.get(prefix);
    if (uri !== undefined) return uri === '' ? undefined : uri;
  }
  return undefined;
}

function elementName(node: Node): string | undefined {
  return Object.keys(node).find((key) => key !== ':@' && !key.startsWith('#') && !key.startsWith('?'));
}

function textOf(node: Node): string {
  if (typeof node['#text'] === 'string') return resolveEntities(node['#text']);
  const [cdata] = (node['#cdata'] ?? []) as readonly Node[];
  return typeof cdata?.['#text'] === 'string' ? cdata['#text'] : '';
}

const PREDEFINED: ReadonlyMap<string, string> = new Map(
  Object.entries(ESCAPED).map(([character, escape]) => [escape, character]),
);

/** The five entities of XML and numeric ones; all others stay as they are written. */
function resolveEntities(text: string): string {
  return text.replace(
    /&(?:#x([0-9A-Fa-f]{1,6})|#([0-9]{1,7})|[a-z]{2,4});/g,
    (written, hex: string | undefined, decimal: string | undefined) => {
      if (hex === undefined && decimal === undefined) return PREDEFINED.get(written) ?? written;
      const code = hex === undefined ? Number(decimal) : parseInt(hex, 16);
      const allowed = code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff);
      return allowed ? String.fromCodePoint(code) : written;
    },
  );
}

function malformed(why: string, cause?: unknown): CpmError {
  return new CpmError('CPM_XML', 400, `the XML document cannot be read: ${why}`, {cause});
}
