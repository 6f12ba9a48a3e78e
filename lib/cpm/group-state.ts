/** What a Group State Object says: who was in a group at a moment, and what it was called (CPM Message Storage, Group State Object). */
import {canonicalAddress} from './address.ts';
import type {ConferenceDescription, ConferenceState} from './conference-state.ts';
import {asSubject} from './group-session.ts';

export interface GroupState {
  /** The CPM Group Session Identity: where a re-join goes. As it was received, whether it is a URI or not. */
  readonly lastFocusSessionId: string;
  /** RFC 3339: when the participants were these. */
  readonly timestamp: string;
  readonly groupType: 'Open' | 'Closed';
  /** `tel:` URI by which SMS and MMS reach the group. */
  readonly interworkingNumber?: string | undefined;
  readonly participants: readonly GroupParticipant[];
  /** The served user cannot come back: the group was ended, or he was removed (cause 410). */
  readonly removed?: boolean | undefined;
  /** Who removed him: an address. */
  readonly referredBy?: string | undefined;
  readonly subject?: GroupSubject | undefined;
  readonly icon?: GroupIcon | undefined;
  readonly maxUserCount?: number | undefined;
  readonly policy?: string | undefined;
}

export interface GroupParticipant {
  /** May be empty. */
  readonly name: string;
  /** sip: or tel: URI. */
  readonly address: string;
  /** The served user himself. */
  readonly yourOwn: boolean;
  readonly role?: string | undefined;
}

export interface GroupSubject {
  readonly text: string;
  readonly participant?: GroupParticipant | undefined;
  /** As the conference notification had it. */
  readonly timestamp?: string | undefined;
}

export interface GroupIcon {
  readonly uri?: string | undefined;
  /** Content-ID of a file that goes along. */
  readonly file?: string | undefined;
  readonly participant?: GroupParticipant | undefined;
  readonly timestamp?: string | undefined;
}

/** What the conference does not say of the group. */
export interface GroupFacts extends Pick<
  GroupState,
  'lastFocusSessionId' | 'timestamp' | 'groupType' | 'interworkingNumber' | 'removed' | 'referredBy'
> {
  /** Whose group it is; his addresses. */
  readonly own: readonly string[];
  /** Subject and icon belong into it only where they may be changed (T49). */
  readonly groupData: boolean;
  /** The Subject of the group, as it was told last, if only by its INVITE; default: what the conference says. */
  readonly subject?: string | undefined;
}

/** The state of a group as its conference was last known (row B4: the participants from before the end). */
export function groupStateOf(
  {participants, description}: Pick<ConferenceState, 'participants' | 'description'>,
  {own, groupData, subject, ...facts}: GroupFacts,
): GroupState {
  const ownKeys = new Set(own.map(keyOf));
  const all = participants.map((user): GroupParticipant => ({
    name: user.displayText ?? '',
    address: user.entity,
    yourOwn: user.yourOwn === true || ownKeys.has(keyOf(user.entity)),
    role: user.roles?.join(','),
  }));
  const named = (uri: string | undefined): GroupParticipant | undefined =>
    uri === undefined
      ? undefined
      : (all.find(({address}) => keyOf(address) === keyOf(uri)) ?? {
          name: '',
          address: uri,
          yourOwn: ownKeys.has(keyOf(uri)),
        });
  const {icon} = description;
  const isOfConference = subject === undefined || asSubject(description.subject ?? '') === asSubject(subject);
  const {subject: text, subjectChange}: ConferenceDescription = isOfConference ? description : {subject};
  const hasIcon = icon?.uri !== undefined || icon?.file !== undefined;
  return {
    ...facts,
    participants: all,
    ...(groupData && text !== undefined && text !== ''
      ? {subject: {text, participant: named(subjectChange?.participant), timestamp: subjectChange?.timestamp}}
      : {}),
    ...(groupData && hasIcon
      ? {icon: {uri: icon.uri, file: icon.file, participant: named(icon.participant), timestamp: icon.timestamp}}
      : {}),
    ...(description.maximumUserCount === undefined ? {} : {maxUserCount: description.maximumUserCount}),
    ...(description.policy === undefined ? {} : {policy: description.policy}),
  };
}

function keyOf(address: string): string {
  return canonicalAddress(address) ?? address;
}
