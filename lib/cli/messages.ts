/** Messages as an operator reads them: no line is wider than 100 columns. */
import type {HistoryEntry, TracedMessage} from '../cpm/history.ts';
import type {FolderSummary, StoredSummary} from '../cpm/stored-object.ts';

export const columns = 100;

/** A message with its history, one entry a line. */
export function formatTrace(message: TracedMessage): string {
  const {id, kind, state, imdnMessageId, conversationId, sender, servedUser, expiresAt, history, omitted} = message;
  const [accepted, ...later] = history.map(formatEntry);
  return lines([
    `${kind} ${imdnMessageId ?? '(no imdn.Message-ID)'}: ${state}`,
    `  id ${id}, conversation ${conversationId ?? 'not known'}`,
    `  from ${sender} to ${servedUser}, to expire ${timeOf(expiresAt)}`,
    accepted ?? '',
    ...(omitted === 0 ? [] : [`  (${omitted} entries are not kept)`]),
    ...later,
  ]);
}

/** What waits, one message a line. */
export function formatQueue(messages: readonly TracedMessage[]): string {
  const line = (...[state, since, from, to, id]: [string, string, string, string, string]): string =>
    `${state.padEnd(7)} ${since.padEnd(20)} ${fit(from, 20)} ${fit(to, 20)} ${id}`;
  return lines([
    line('state', 'accepted', 'from', 'to', 'imdn.Message-ID, or id'),
    ...messages.map(({state, receivedAt, sender, servedUser, imdnMessageId, id}) =>
      line(state, timeOf(receivedAt), sender, servedUser, imdnMessageId ?? id),
    ),
  ]);
}

/** Recorded sessions, one a line. */
export function formatSessions(folders: readonly FolderSummary[]): string {
  const widths = [20, -8, -13, -6, 24];
  return lines([
    row(widths, ['until', 'messages', 'notifications', 'states', 'conversation', 'session']),
    ...folders.map(({lastDate, counts, conversationId, contributionId}) => {
      const numbers = [counts.message, counts.notification, counts['group-state']].map(String);
      return row(widths, [timeOf(lastDate), ...numbers, conversationId, contributionId]);
    }),
  ]);
}

/** What is recorded of a conversation, one object a line. */
export function formatRecorded(objects: readonly StoredSummary[]): string {
  const widths = [20, 12, 8, 16, -8, 8];
  return lines([
    row(widths, ['date', 'kind', '', 'from', 'octets', 'id', 'IMDN-Message-ID']),
    ...objects.map(({date, kind, direction = '', from, size, id, imdnMessageId}) =>
      row(widths, [timeOf(date), kind, direction, from, String(size), id, imdnMessageId]),
    ),
  ]);
}

function formatEntry({at, node, what, answer, session, by}: HistoryEntry): string {
  const said = [answer, session, by === undefined ? undefined : `by ${by}`].filter((part) => part !== undefined);
  return `  ${timeOf(at)} ${what.padEnd(12)} ${fit(node, 10)} ${said.join(', ')}`;
}

export const timeOf = (milliseconds: number): string => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`;

const cut = (text: string, width: number): string => (text.length > width ? `${text.slice(0, width - 1)}…` : text);

const fit = (text: string, width: number): string => cut(text, width).padEnd(width);

/** Cells of so many characters, to the right where the width is negative; the last one is as long as it is. */
export const row = (widths: readonly number[], cells: readonly string[]): string =>
  cells
    .map((cell, index) => {
      const width = widths[index] ?? cell.length;
      return width < 0 ? cell.padStart(-width) : fit(cell, width);
    })
    .join(' ');

/** What comes from outside stays on its line, and moves no cursor. */
export const lines = (all: readonly string[]): string =>
  all.map((line) => `${cut(line.replaceAll(/\p{Cc}/gu, '?'), columns).trimEnd()}\n`).join('');
