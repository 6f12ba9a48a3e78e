/**
 * The session info object of CPM's Message Store: of which kind a recorded session is, and whom it was with.
 *
 *     session = session-type [session-replaces] [invited-participants]
 */
import {CpmError} from '../errors.ts';
import {decodeContent, isType} from './mime.ts';
import {leafParts} from './multipart.ts';
import {escapeXml, parseXml, xmlChildText} from './xml.ts';

/** As it is written; it is read in any letter case. */
export const SESSION_INFO_TYPE = 'Application/X-CPM-Session';

export interface SessionInfo {
  readonly type: '1-1' | 'group';
  /** Contribution-ID of the session that this one takes the place of. */
  readonly replaces: string | undefined;
  /** Of a group: all but its originator, or the URI of a predefined group. */
  readonly invitedParticipants: readonly string[];
}

/** A participants' list is cut before a scheme alone: `;` begins parameters of a URI, too. */
const BETWEEN_URIS = /;(?=\s*(?:sips?|tel|im|pres|mailto|urn):)/i;

/** Values of an older version beside ours. */
const TYPES: ReadonlyMap<string | undefined, SessionInfo['type']> = new Map([
  ['1-1', '1-1'],
  ['group', 'group'],
  ['ad-hoc', 'group'],
  ['pre-defined', 'group'],
]);

/**
 * Reads a session info object, also as the first part of a multipart/related body, as older versions write it (row E9): elements in any order
 * and namespace, others ignored.
 *
 * @throws CpmError `CPM_SESSION_INFO`, `CPM_XML` or `CPM_MULTIPART` (400).
 */
export function parseSessionInfo(contentType: string, body: Uint8Array): SessionInfo {
  const part = leafParts(body, contentType).find((each) => isType(each.contentType, SESSION_INFO_TYPE.toLowerCase()));
  const root = part && parseXml(decodeContent(part.headers, part.body));
  const type = root?.name === 'session' ? TYPES.get(xmlChildText(root, 'session-type')?.toLowerCase()) : undefined;
  if (root === undefined || type === undefined)
    throw new CpmError('CPM_SESSION_INFO', 400, 'the session info object names no type of session');
  return {
    type,
    replaces: xmlChildText(root, 'session-replaces'),
    invitedParticipants: (xmlChildText(root, 'invited-participants') ?? '')
      .split(BETWEEN_URIS)
      .map((uri) => uri.trim().replace(/;$/, ''))
      .filter((uri) => uri !== ''),
  };
}

/** Writes a session info object, elements in the schema's order. */
export function formatSessionInfo({type, replaces, invitedParticipants}: SessionInfo): string {
  const leaf = (name: string, text: string | undefined) =>
    text === undefined ? '' : `<${name}>${escapeXml(text)}</${name}>`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<session>',
    leaf('session-type', type === 'group' ? 'Group' : type),
    leaf('session-replaces', replaces),
    leaf('invited-participants', type === 'group' ? invitedParticipants.join(';') : undefined),
    '</session>\r\n',
  ].join('');
}
