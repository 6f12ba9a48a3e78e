/**
 * State of a conference as the conference event package tells it (RFC 4575 §5), with the extensions of CPM: who set subject and icon, policy.
 *
 * @clause E9
 */
import type {
  ConferenceDescription,
  ConferenceIcon,
  ConferenceNotification,
  ConferenceStatus,
  EndpointChange,
  EndpointStatus,
  ExecutionInfo,
  GroupDataChange,
  UserChange,
} from '../cpm/conference-state.ts';
import {CpmError} from '../errors.ts';
import {
  type XmlElement,
  digitsOf,
  formatElement,
  formatLeaf,
  isElement,
  parseXml,
  xmlAttribute,
  xmlBoolean,
  xmlChild,
  xmlChildText,
  xmlChildren,
  xmlDigits,
  xmlOneOf,
} from './xml.ts';

export const CONFERENCE_INFO_TYPE = 'application/conference-info+xml';
const NAMESPACE = 'urn:ietf:params:xml:ns:conference-info';

const STATES = ['full', 'partial', 'deleted'] as const;
const STATUSES: readonly EndpointStatus[] = [
  ...(['pending', 'dialing-out', 'dialing-in', 'alerting', 'on-hold'] as const),
  ...(['connected', 'muted-via-focus', 'disconnecting', 'disconnected'] as const),
];

/**
 * Reads a document. What has no state is full (RFC 4575 §4.4); users without an entity are left out, and values that RFC 4575 does not know.
 *
 * @throws CpmError `CPM_XML` or `CPM_CONFERENCE_INFO` (400).
 */
export function parseConferenceInfo(xml: string | Uint8Array): ConferenceNotification {
  const root = parseXml(xml);
  if (!isElement(root, 'conference-info', NAMESPACE)) throw malformed('its root is another element');
  const entity = xmlAttribute(root, 'entity')?.trim() ?? '';
  if (entity === '') throw malformed('it names no conference');
  const users = xmlChild(root, 'users');
  const description = xmlChild(root, 'conference-description');
  const status = xmlChild(root, 'conference-state');
  return {
    entity,
    state: stateOf(root),
    version: xmlDigits(root, 'version'),
    description: description && descriptionOf(description),
    status: status && statusOf(status),
    users: users && {state: stateOf(users), users: xmlChildren(users, 'user').flatMap(userOf)},
  };
}

/** Writes a document, elements in the schema's order, the extensions behind them. */
export function formatConferenceInfo({
  entity,
  state,
  version,
  description,
  status,
  users,
}: ConferenceNotification): string {
  const content = [
    description === undefined ? '' : formatElement('conference-description', {}, formatDescription(description)),
    status === undefined ? '' : formatElement('conference-state', {}, formatStatus(status)),
    // One line each: SIP servers refuse a message with a line of 8 KiB.
    users === undefined ? '' : formatElement('users', {state: users.state}, users.users.map(formatUser).join('\r\n')),
  ];
  const attributes = {xmlns: NAMESPACE, entity, state, version: version?.toString()};
  return `<?xml version="1.0" encoding="UTF-8"?>\r\n${formatElement('conference-info', attributes, content.join(''))}\r\n`;
}

function descriptionOf(element: XmlElement): ConferenceDescription {
  const change = xmlChild(element, 'subject-ext');
  const icon = xmlChild(element, 'icon');
  return {
    displayText: xmlChildText(element, 'display-text'),
    subject: xmlChild(element, 'subject')?.text.trim(),
    subjectChange: change && changeOf(change),
    icon: icon && iconOf(icon),
    maximumUserCount: digitsOf(xmlChildText(element, 'maximum-user-count')),
    policy: xmlChildText(element, 'policy'),
  };
}

function formatDescription(description: ConferenceDescription): string {
  const {displayText, subject, maximumUserCount, subjectChange, icon, policy} = description;
  return [
    formatLeaf('display-text', displayText),
    formatLeaf('subject', subject),
    formatLeaf('maximum-user-count', maximumUserCount?.toString()),
    subjectChange === undefined ? '' : formatElement('subject-ext', {}, formatChange(subjectChange)),
    icon === undefined ? '' : formatElement('icon', {}, formatIcon(icon)),
    formatLeaf('policy', policy),
  ].join('');
}

/** `icon-uri` and `file-info` stand in the icon itself, or in a `source` of it, as Group State Objects have them. */
function iconOf(element: XmlElement): ConferenceIcon {
  const source = xmlChild(element, 'source') ?? element;
  return {uri: xmlChildText(source, 'icon-uri'), file: xmlChildText(source, 'file-info'), ...changeOf(element)};
}

function formatIcon(icon: ConferenceIcon): string {
  return formatLeaf('icon-uri', icon.uri) + formatLeaf('file-info', icon.file) + formatChange(icon);
}

function changeOf(element: XmlElement): GroupDataChange {
  return {participant: xmlChildText(element, 'participant'), timestamp: xmlChildText(element, 'timestamp')};
}

function formatChange({participant, timestamp}: GroupDataChange): string {
  return formatLeaf('participant', participant) + formatLeaf('timestamp', timestamp);
}

function statusOf(element: XmlElement): ConferenceStatus {
  return {
    userCount: digitsOf(xmlChildText(element, 'user-count')),
    active: xmlBoolean(xmlChildText(element, 'active')),
    locked: xmlBoolean(xmlChildText(element, 'locked')),
  };
}

function formatStatus({userCount, active, locked}: ConferenceStatus): string {
  return [
    formatLeaf('user-count', userCount?.toString()),
    formatLeaf('active', active?.toString()),
    formatLeaf('locked', locked?.toString()),
  ].join('');
}

function userOf(element: XmlElement): readonly UserChange[] {
  const entity = xmlAttribute(element, 'entity')?.trim() ?? '';
  if (entity === '') return [];
  const roles = xmlChild(element, 'roles');
  return [
    {
      entity,
      state: stateOf(element),
      yourOwn: xmlBoolean(xmlAttribute(element, 'yourown')),
      displayText: xmlChildText(element, 'display-text'),
      roles: roles && xmlChildren(roles, 'entry').map(({text}) => text.trim()),
      endpoints: xmlChildren(element, 'endpoint').map(endpointOf),
    },
  ];
}

function formatUser({entity, state, yourOwn, displayText, roles, endpoints}: UserChange): string {
  const content = [
    formatLeaf('display-text', displayText),
    roles === undefined ? '' : formatElement('roles', {}, roles.map((role) => formatLeaf('entry', role)).join('')),
    ...endpoints.map(formatEndpoint),
  ];
  return formatElement('user', {entity, state, yourown: yourOwn?.toString()}, content.join(''));
}

function endpointOf(element: XmlElement): EndpointChange {
  return {
    entity: xmlAttribute(element, 'entity')?.trim(),
    state: stateOf(element),
    displayText: xmlChildText(element, 'display-text'),
    status: xmlOneOf(xmlChildText(element, 'status'), STATUSES),
    joiningMethod: xmlOneOf(xmlChildText(element, 'joining-method'), ['dialed-in', 'dialed-out', 'focus-owner']),
    joiningInfo: executionOf(xmlChild(element, 'joining-info')),
    disconnectionMethod: xmlOneOf(xmlChildText(element, 'disconnection-method'), [
      ...(['departed', 'booted', 'failed', 'busy'] as const),
    ]),
    disconnectionInfo: executionOf(xmlChild(element, 'disconnection-info')),
  };
}

function formatEndpoint(endpoint: EndpointChange): string {
  const content = [
    formatLeaf('display-text', endpoint.displayText),
    formatLeaf('status', endpoint.status),
    formatLeaf('joining-method', endpoint.joiningMethod),
    formatExecution('joining-info', endpoint.joiningInfo),
    formatLeaf('disconnection-method', endpoint.disconnectionMethod),
    formatExecution('disconnection-info', endpoint.disconnectionInfo),
  ];
  return formatElement('endpoint', {entity: endpoint.entity, state: endpoint.state}, content.join(''));
}

function executionOf(element: XmlElement | undefined): ExecutionInfo | undefined {
  return (
    element && {
      when: xmlChildText(element, 'when'),
      reason: xmlChildText(element, 'reason'),
      by: xmlChildText(element, 'by'),
    }
  );
}

function formatExecution(name: string, info: ExecutionInfo | undefined): string {
  if (info === undefined) return '';
  const {when, reason, by} = info;
  return formatElement(name, {}, formatLeaf('when', when) + formatLeaf('reason', reason) + formatLeaf('by', by));
}

function stateOf(element: XmlElement): (typeof STATES)[number] {
  return xmlOneOf(xmlAttribute(element, 'state')?.toLowerCase(), STATES) ?? 'full';
}

function malformed(why: string): CpmError {
  return new CpmError('CPM_CONFERENCE_INFO', 400, `the state of the conference cannot be read: ${why}`);
}
