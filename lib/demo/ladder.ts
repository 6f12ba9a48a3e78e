/** The message ladder of the demo: who says what to whom, a line each, at most 100 columns wide. */

/** Who stands in the ladder, from left to right. */
export type Party = 'Alice' | 'PF' | 'Bob';

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
  | {readonly event: 'step'; readonly text: string};

const parties: readonly Party[] = ['Alice', 'PF', 'Bob'];
/** Column of each party's line, from 0; what is left of the first one is the time. */
const columns: Readonly<Record<Party, number>> = {Alice: 11, PF: 53, Bob: 95};
const width = 100;

/** The names above the lines. */
export function ladderHead(): string {
  const line = Array<string>(width).fill(' ');
  for (const party of parties) write(line, columns[party] - Math.floor(party.length / 2), party);
  return line.join('').trimEnd();
}

/** One event as a line; `seconds` since the beginning. `colour`: with escape sequences for a terminal. */
export function ladderLine(event: LadderEvent, seconds: number, colour: boolean): string {
  const time = seconds.toFixed(2).padStart(6);
  if (event.event === 'step') return `${time}  ${paint(`■ ${event.text}`.slice(0, width - 8), 'bold', colour)}`;
  const line = Array<string>(width).fill(' ');
  write(line, 0, time);
  for (const party of parties) line[columns[party]] = '│';
  const toRight = columns[event.from] < columns[event.to];
  const left = Math.min(columns[event.from], columns[event.to]) + 1;
  const right = Math.max(columns[event.from], columns[event.to]);
  const text = ` ${event.text} `.slice(0, right - left - 2);
  const stroke = event.protocol === 'SIP' ? '─' : '═';
  const before = Math.floor((right - left - text.length) / 2);
  const arrow = `${stroke.repeat(before)}${text}${stroke.repeat(right - left - before - text.length)}`;
  const headed = toRight ? `${arrow.slice(0, -1)}▶` : `◀${arrow.slice(1)}`;
  const painted = paint(headed, event.protocol === 'SIP' ? 'cyan' : 'green', colour);
  return `${line.slice(0, left).join('')}${painted}${line.slice(right).join('').trimEnd()}`;
}

const codes = {bold: 1, cyan: 36, green: 32} as const;

function paint(text: string, how: keyof typeof codes, colour: boolean): string {
  return colour ? `\u001b[${codes[how]}m${text}\u001b[0m` : text;
}

function write(line: string[], at: number, text: string): void {
  for (let index = 0; index < text.length; index++) line[at + index] = text.charAt(index);
}
