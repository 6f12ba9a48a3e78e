/** Documents about groups: who is invited, who is there, what a group was. */
import {formatConferenceInfo, parseConferenceInfo} from '../../../lib/codecs/conference-info.ts';
import {formatGroupState, parseGroupState} from '../../../lib/codecs/group-state.ts';
import {fittingList} from '../../../lib/codecs/participant-list.ts';
import {formatResourceLists, parseResourceLists} from '../../../lib/codecs/resource-lists.ts';
import {mergeNotification, unknownConference} from '../../../lib/cpm/conference-state.ts';
import {attempt, few, promise, type Target} from '../target.ts';

const words = [
  '<!DOCTYPE a []>',
  '<![CDATA[',
  ']]>',
  '/>',
  '</',
  ' xmlns="',
  ' xmlns:a="',
  'a:',
  '&lt;',
  '&#x41;',
  '__proto__',
];

export const resourceLists: Target = {
  name: 'resource-lists',
  clause: 'E9 RFC 4826 §3.2',
  dictionary: [
    ...words,
    'resource-lists',
    'list',
    'entry',
    'uri="',
    'sip:a@b',
    '?',
    '&amp;',
    '%',
    '=',
    'copyControl="to"',
    'anonymize="1"',
    'count="2"',
    'display-name',
  ],
  check(input) {
    const {value, refusal} = attempt(() => parseResourceLists(input), 'CPM_XML', 'CPM_RESOURCE_LISTS');
    if (value === undefined) return refusal;
    const written = formatResourceLists(value);
    if (written.length < 250_000)
      promise(formatResourceLists(parseResourceLists(written)) === written, 'a list is written as it was read');
    const {entries, omitted} = fittingList(value, 300);
    promise(entries.length + omitted === value.length, 'nobody is left out of a list without being counted');
    return `${few(value.length)} ${value.some(({headers}) => headers !== undefined)} ${value.some(({count}) => count !== undefined)} ${few(omitted)}`;
  },
};

export const conferenceInfo: Target = {
  name: 'conference-info',
  clause: 'E9 RFC 4575 §5',
  dictionary: [
    ...words,
    'conference-info',
    'entity="',
    'state="partial"',
    'state="deleted"',
    'version="',
    'users',
    'user',
    'endpoint',
    'status',
    'disconnected',
    'disconnection-method',
    'booted',
    'yourown="true"',
    'subject',
    'icon',
    'roles',
    'entry',
  ],
  check(input) {
    const {value, refusal} = attempt(() => parseConferenceInfo(input), 'CPM_XML', 'CPM_CONFERENCE_INFO');
    if (value === undefined) return refusal;
    const written = formatConferenceInfo(value);
    if (written.length < 250_000)
      promise(formatConferenceInfo(parseConferenceInfo(written)) === written, 'a document is written as it was read');
    const known = mergeNotification(unknownConference, value);
    promise(known.refreshNeeded === (value.state === 'partial'), 'a first document that is partial is not enough');
    promise(
      mergeNotification(known, {...value, version: known.version}) === known,
      'a document that came before changes nothing',
    );
    return `${value.state} ${value.version === undefined} ${few(known.users.length)} ${few(known.participants.length)} ${value.description !== undefined}`;
  },
};

export const groupState: Target = {
  name: 'group-state',
  clause: 'E9',
  dictionary: [
    ...words,
    'groupstate',
    'participant',
    'comm-addr="',
    'name="',
    'yourown="1"',
    'status',
    'removed',
    'referred-by',
    'subject',
    'text',
    'icon',
    'source',
    'group-type="open"',
  ],
  check(input) {
    const {value, refusal} = attempt(() => parseGroupState(input), 'CPM_XML', 'CPM_GROUP_STATE');
    if (value === undefined) return refusal;
    for (const dialect of ['2.1', '2.2'] as const) {
      const {value: written} = attempt(() => formatGroupState(value, dialect), 'CPM_GROUP_STATE');
      promise((written === undefined) === (value.participants.length === 0), 'what has participants can be written');
      if (written !== undefined && written.length < 250_000)
        promise(formatGroupState(parseGroupState(written), dialect) === written, 'an object is written as it was read');
    }

    return `${value.groupType} ${few(value.participants.length)} ${value.removed} ${value.referredBy !== undefined} ${value.subject !== undefined} ${value.icon !== undefined}`;
  },
};
