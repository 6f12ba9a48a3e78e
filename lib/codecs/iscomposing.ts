/** "Is composing" indications (RFC 3994): relayed live, never stored (row E2). */
import {CpmError} from '../errors.ts';
import {parseContentType} from './mime.ts';
import {formatLeaf, isElement, parseXml, xmlChildText} from './xml.ts';

const NAMESPACE = 'urn:ietf:params:xml:ns:im-iscomposing';
const MIME_TYPE = 'application/im-iscomposing+xml';

/** Whether somebody is typing. */
export interface IsComposing {
  readonly state: 'active' | 'idle';
  /** RFC 3339, as written. */
  readonly lastActive?: string | undefined;
  /** MIME type of what is being composed. */
  readonly contentType?: string | undefined;
  readonly refreshSeconds?: number | undefined;
}

/** Whether a Content-Type is that of an indication. */
export function isComposing(contentType: string): boolean {
  return parseContentType(contentType).type === MIME_TYPE;
}

/**
 * Reads an indication. A state that is not known counts as idle (RFC 3994 §3.2).
 *
 * @throws CpmError `CPM_XML` or `CPM_ISCOMPOSING` (400).
 */
export function parseIsComposing(xml: string | Uint8Array): IsComposing {
  const root = parseXml(xml);
  const state = xmlChildText(root, 'state');
  if (!isElement(root, 'isComposing', NAMESPACE) || state === undefined) {
    throw new CpmError('CPM_ISCOMPOSING', 400, 'the composing indication has no state');
  }
  const refresh = xmlChildText(root, 'refresh') ?? '';
  return {
    state: state === 'active' ? 'active' : 'idle',
    lastActive: xmlChildText(root, 'lastactive'),
    contentType: xmlChildText(root, 'contenttype'),
    refreshSeconds: /^[1-9][0-9]{0,8}$/.test(refresh) ? Number(refresh) : undefined,
  };
}

/** Writes an indication, elements in the schema's order. */
export function formatIsComposing({state, lastActive, contentType, refreshSeconds}: IsComposing): string {
  return [
    `<?xml version="1.0" encoding="UTF-8"?>\r\n<isComposing xmlns="${NAMESPACE}"><state>${state}</state>`,
    formatLeaf('lastactive', lastActive),
    formatLeaf('contenttype', contentType),
    formatLeaf('refresh', refreshSeconds?.toString()),
    '</isComposing>\r\n',
  ].join('');
}
