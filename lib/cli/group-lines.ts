/** Groups as an operator reads them. */
import type {ConferenceUser} from '../cpm/conference-state.ts';
import type {GroupSession} from '../cpm/group-session.ts';
import type {GroupSummary, KeptGroupState} from '../ports/operator.ts';
import {columns, lines, row, timeOf} from './messages.ts';

/** Groups of a user, one a line. */
export function formatGroups(groups: readonly GroupSummary[]): string {
  const widths = [20, 8, -12, 24];
  return lines([
    row(widths, ['changed', 'standing', 'participants', 'group', 'subject']),
    ...groups.map(({changedAt, standing, participants, contributionId, subject = ''}) =>
      row(widths, [timeOf(changedAt), standing, String(participants), contributionId, subject]),
    ),
  ]);
}

/** One group, with those who take part in it. */
export function formatGroup({subject, conference, ...group}: GroupSession): string {
  const {participants, description} = conference;
  return lines([
    `group ${group.contributionId}: ${group.standing}`,
    `  conversation ${group.conversationId}`,
    `  subject ${description.subject ?? subject ?? ''}`,
    `  changed ${timeOf(group.changedAt)}, node ${group.node}`,
    `  focus ${group.focus}`,
    `  member ${group.memberAddress}`,
    `participants${conference.ended ? ' before its end' : ''}: ${participants.length}`,
    ...participants.map(formatParticipant),
  ]);
}

const formatParticipant = ({entity, displayText = '', roles = []}: ConferenceUser): string =>
  `  ${row([40, 24], [entity, displayText, roles.join(', ')])}`;

/** What is kept of its states, each with those who took part. */
export function formatGroupStates(states: readonly KeptGroupState[]): string {
  return lines([
    `states: ${states.length}`,
    ...states.flatMap(({date, state, id, imdnMessageId}) => [
      `  ${timeOf(date)} id ${id}, IMDN-Message-ID ${imdnMessageId}${state === undefined ? ', unreadable' : ''}`,
      ...(state?.removed === true ? [`    removed, referred by ${state.referredBy ?? 'nobody'}`] : []),
      ...wrapped(state?.participants.map(({address}) => address) ?? [], '    '),
    ]),
  ]);
}

/** Several on a line, as long as they have room. */
function wrapped(words: readonly string[], indent: string): readonly string[] {
  const all: string[] = [];
  for (const [index, word] of words.entries()) {
    const said = index === words.length - 1 ? word : `${word},`;
    const line = all.at(-1);
    if (line !== undefined && line.length + 1 + said.length <= columns) all.splice(-1, 1, `${line} ${said}`);
    else all.push(indent + said);
  }
  return all;
}
