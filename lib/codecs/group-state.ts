/**
 * Group State Objects (CPM Message Storage, "Group State Object"): read in any order of elements and in each form that was published, written in
 * the order of the schema (row E9), since readers in the field go by position.
 *
 *     groupstate = participant+ [status] [referred-by] [subject] [icon] [max-user-count] [policy]
 *
 * @clause E9
 */
import type {GroupIcon, GroupParticipant, GroupState, GroupSubject} from '../cpm/group-state.ts';
import {CpmError} from '../errors.ts';
import {IMDN_NAMESPACE, formatCpim, parseCpim} from './cpim.ts';
import {decodeContent, isType} from './mime.ts';
import {leafParts} from './multipart.ts';
import {
  type XmlElement,
  digitsOf,
  formatElement,
  formatLeaf,
  parseXml,
  xmlAttribute,
  xmlBoolean,
  xmlChild,
  xmlChildText,
  xmlChildren,
} from './xml.ts';

export const GROUP_STATE_TYPE = 'application/group-state-object+xml';

/** How a removal is written: `2.1` as a value beside `referred-by`, `2.2` as an element that holds the participant who caused it. */
export type GroupStateDialect = '2.1' | '2.2';

/**
 * Reads an object. A time that is missing is the epoch, so that every other object is newer; participants without address are left out.
 *
 * @throws CpmError `CPM_XML` or `CPM_GROUP_STATE` (400).
 */
export function parseGroupState(xml: string | Uint8Array): GroupState {
  const root = parseXml(xml);
  if (root.name !== 'groupstate') throw malformed('its root is another element');
  const status = xmlChild(root, 'status');
  const removed = status && xmlChild(status, 'removed');
  const isRemoved = removed !== undefined || status?.text.trim().toLowerCase() === 'removed';
  const subject = xmlChild(root, 'subject');
  const icon = xmlChild(root, 'icon');
  return {
    lastFocusSessionId: xmlAttribute(root, 'lastfocussessionid')?.trim() ?? '',
    timestamp: xmlAttribute(root, 'timestamp')?.trim() ?? '1970-01-01T00:00:00Z',
    groupType: xmlAttribute(root, 'group-type')?.trim().toLowerCase() === 'open' ? 'Open' : 'Closed',
    interworkingNumber: xmlAttribute(root, 'iw-number'),
    participants: xmlChildren(root, 'participant').flatMap((each) => participantOf(each) ?? []),
    removed: isRemoved ? true : undefined,
    referredBy: xmlChildText(root, 'referred-by') ?? (removed && participantIn(removed)?.address),
    subject: subject && subjectOf(subject),
    icon: icon && iconOf(icon),
    maxUserCount: digitsOf(xmlChildText(root, 'max-user-count')),
    policy: xmlChildText(root, 'policy'),
  };
}

/**
 * Writes an object.
 *
 * @throws CpmError `CPM_GROUP_STATE` (500) when it has no participant: the schema asks for one, and clients throw away what has none.
 */
export function formatGroupState(state: GroupState, dialect: GroupStateDialect = '2.1'): string {
  if (state.participants.length === 0)
    throw new CpmError('CPM_GROUP_STATE', 500, 'a Group State Object without participants was to be written');
  const {subject, icon} = state;
  const content = [
    ...state.participants.map(formatParticipant),
    ...formatStatus(state, dialect),
    subject === undefined ? '' : formatElement('subject', {}, formatLeaf('text', subject.text) + formatChange(subject)),
    icon === undefined
      ? ''
      : formatElement(
          'icon',
          {},
          formatElement('source', {}, formatLeaf('icon-uri', icon.uri) + formatLeaf('file-info', icon.file)) +
            formatChange(icon),
        ),
    formatLeaf('max-user-count', state.maxUserCount?.toString()),
    formatLeaf('policy', state.policy),
  ];
  const attributes = {
    timestamp: state.timestamp,
    lastfocussessionid: state.lastFocusSessionId,
    'group-type': state.groupType,
    'iw-number': state.interworkingNumber,
  };
  return `<?xml version="1.0" encoding="UTF-8"?>\r\n${formatElement('groupstate', attributes, content.join(''))}\r\n`;
}

/** An object on its way to a client, in a session. */
export interface NewGroupStateMessage {
  readonly state: GroupState;
  /** CPIM From and To as they are written. */
  readonly from: string;
  readonly to: string;
  /** The object's own `imdn.Message-ID`, one for each event. */
  readonly messageId: string;
  /** RFC 3339. */
  readonly dateTime: string;
}

/** A whole CPIM message around an object; it asks for no notification. */
export function formatGroupStateCpim({state, from, to, messageId, dateTime}: NewGroupStateMessage): Buffer {
  const body = Buffer.from(formatGroupState(state));
  return formatCpim({
    headers: [
      {name: 'From', value: from},
      {name: 'To', value: to},
      {name: 'NS', value: `imdn <${IMDN_NAMESPACE}>`},
      {name: 'imdn.Message-ID', value: messageId},
      {name: 'DateTime', value: dateTime},
    ],
    contentHeaders: [
      {name: 'Content-Type', value: GROUP_STATE_TYPE},
      {name: 'Content-Length', value: String(body.length)},
    ],
    body,
  });
}

/**
 * The object that a message carries: by itself, with an icon beside it, or either of them in CPIM; undefined where it carries none.
 *
 * @throws CpmError `CPM_CPIM`, `CPM_MULTIPART`, `CPM_XML` or `CPM_GROUP_STATE` (400).
 */
export function groupStateIn(contentType: string, body: Uint8Array): GroupState | undefined {
  const cpim = isType(contentType, 'message/cpim') ? parseCpim(body) : undefined;
  const parts =
    cpim === undefined
      ? leafParts(body, contentType)
      : leafParts(decodeContent(cpim.contentHeaders, cpim.body), cpim.contentType ?? 'text/plain');
  const part = parts.find((each) => isType(each.contentType, GROUP_STATE_TYPE));
  return part && parseGroupState(decodeContent(part.headers, part.body));
}

/** Whether a message is an object alone, bare or in CPIM. Never throws. */
export function isGroupState({
  contentType,
  bytes,
}: {
  readonly contentType: string;
  readonly bytes: Uint8Array;
}): boolean {
  try {
    return isType(isType(contentType, 'message/cpim') ? parseCpim(bytes).contentType : contentType, GROUP_STATE_TYPE);
  } catch {
    return false;
  }
}

function participantOf(element: XmlElement): GroupParticipant | undefined {
  const address = xmlAttribute(element, 'comm-addr')?.trim() ?? '';
  if (address === '') return undefined;
  return {
    name: xmlAttribute(element, 'name') ?? '',
    address,
    yourOwn: xmlBoolean(xmlAttribute(element, 'yourown')) ?? false,
    role: xmlAttribute(element, 'role'),
  };
}

function participantIn(element: XmlElement): GroupParticipant | undefined {
  const child = xmlChild(element, 'participant');
  return child && participantOf(child);
}

function formatParticipant({name, address, yourOwn, role}: GroupParticipant): string {
  return formatElement('participant', {name, 'comm-addr': address, yourown: yourOwn ? 'true' : undefined, role});
}

function formatStatus({removed, referredBy, participants}: GroupState, dialect: GroupStateDialect): readonly string[] {
  if (removed !== true) return [];
  if (dialect === '2.1') return [formatLeaf('status', 'removed'), formatLeaf('referred-by', referredBy)];
  const by = participants.find(({address}) => address === referredBy);
  const cause =
    referredBy === undefined ? '' : formatParticipant(by ?? {name: '', address: referredBy, yourOwn: false});
  return [formatElement('status', {}, formatElement('removed', {}, cause))];
}

/** A subject's text may stand in it without an element of its own. */
function subjectOf(element: XmlElement): GroupSubject {
  return {
    text: xmlChild(element, 'text')?.text ?? element.text.trim(),
    participant: participantIn(element),
    timestamp: xmlChildText(element, 'timestamp'),
  };
}

/** The published schema has no `source`, its prose and examples have. */
function iconOf(element: XmlElement): GroupIcon {
  const source = xmlChild(element, 'source') ?? element;
  return {
    uri: xmlChildText(source, 'icon-uri'),
    file: xmlChildText(source, 'file-info'),
    participant: participantIn(element),
    timestamp: xmlChildText(element, 'timestamp'),
  };
}

function formatChange({participant, timestamp}: Pick<GroupSubject, 'participant' | 'timestamp'>): string {
  return (participant === undefined ? '' : formatParticipant(participant)) + formatLeaf('timestamp', timestamp);
}

function malformed(why: string): CpmError {
  return new CpmError('CPM_GROUP_STATE', 400, `the Group State Object cannot be read: ${why}`);
}
