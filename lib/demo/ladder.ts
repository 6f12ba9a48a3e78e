/** The message ladder of the demo: who says what to whom, a line each, at most 100 columns wide. */

export type Party = 'Alice' | 'Focus' | 'PF' | 'Bob';

/** Who stands in the ladder, from left to right. */
export const twoPhones: readonly Party[] = ['Alice', 'PF', 'Bob'];

/** One line of it. */
export type LadderEvent =
  | {
      readonly event: 'message';
      readonly protocol: 'SIP' | 'MSRP';
      readonly from: Party;
      readonly to: Party;
      readonly text: string;
    }
  /** Something that happens beside the messages. */
  | {readonly event: 'step'; readonly text: string}
  /** What a command printed. */
  | {readonly event: 'output'; readonly text: string};

/** Columns, from 0, of the first party's line and of the last one's; what is left of the first one is the time. */
const [first, last] = [11, 95];
const width = 100;
/** Of what a command printed, as far as it has room beside the time. */
const pieces = /.{1,92}/g;

const columnOf = (parties: readonly Party[], party: Party): number =>
  first + Math.round((parties.indexOf(party) * (last - first)) / (parties.length - 1));

/** The names above the lines. */
export function ladderHead(parties: readonly Party[]): string {
  const line = Array<string>(width).fill(' ');
  for (const party of parties) write(line, columnOf(parties, party) - Math.floor(party.length / 2), party);
  return line.join('').trimEnd();
}

/** One event as a line; `seconds` since the beginning. `colour`: with escape sequences for a terminal. */
export function ladderLine(parties: readonly Party[], event: LadderEvent, seconds: number, colour: boolean): string {
  if (event.event === 'output') return event.text.replaceAll(pieces, '        $&\n').trimEnd();
  const time = seconds.toFixed(2).padStart(6);
  if (event.event === 'step') return `${time}  ${paint(`■ ${event.text}`.slice(0, width - 8), 'bold', colour)}`;
  const line = Array<string>(width).fill(' ');
  write(line, 0, time);
  for (const party of parties) line[columnOf(parties, party)] = '│';
  const ends = [event.from, event.to].map((party) => columnOf(parties, party));
  const toRight = parties.indexOf(event.from) < parties.indexOf(event.to);
  const left = Math.min(...ends) + 1;
  const right = Math.max(...ends);
  const text = ` ${shortened(event.text, right - left - 4)} `;
  const stroke = event.protocol === 'SIP' ? '─' : '═';
  const before = Math.floor((right - left - text.length) / 2);
  const arrow = `${stroke.repeat(before)}${text}${stroke.repeat(right - left - before - text.length)}`;
  const headed = toRight ? `${arrow.slice(0, -1)}▶` : `◀${arrow.slice(1)}`;
  const painted = paint(headed, event.protocol === 'SIP' ? 'cyan' : 'green', colour);
  return `${line.slice(0, left).join('')}${painted}${line.slice(right).join('').trimEnd()}`;
}

const shortened = (text: string, length: number): string =>
  text.length > length ? `${text.slice(0, length - 1)}…` : text;

const codes = {bold: 1, cyan: 36, green: 32} as const;

function paint(text: string, how: keyof typeof codes, colour: boolean): string {
  return colour ? `\u001b[${codes[how]}m${text}\u001b[0m` : text;
}

function write(line: string[], at: number, text: string): void {
  for (let index = 0; index < text.length; index++) line[at + index] = text.charAt(index);
}
