/** Figures as people read them: lines for a terminal, a table for the documentation. */
import type {Comparison, Figure} from './figure.ts';

/** A figure as it stands in a file: with what it is, and where it was taken. */
export interface Measured extends Figure {
  readonly title: string;
  readonly measured: string;
}

const three = (value: number): string => Number(value.toPrecision(3)).toLocaleString('en-GB');

/** Whether the goal is reached; a figure that is void says why instead. */
function verdict({ratio, goal, wanted, void: why}: Figure): string {
  const reached = wanted === 'at most' ? ratio <= goal : ratio >= goal;
  return why ?? (reached ? 'reached' : 'not reached');
}

export function lines(key: string, figure: Measured): readonly string[] {
  const {title, ratio, ours, peer, goal, wanted, unit, parts = {}, conditions, client} = figure;
  return [
    `${key} ${title}`,
    `  ratio ${three(ratio)} (${wanted} ${goal}: ${verdict(figure)})`,
    `  ours ${three(ours)}, peer ${three(peer)} ${unit}`,
    ...Object.entries(parts).map(
      ([name, part]) =>
        `  ${name}: ${three(part.ratio)} (goal ${part.goal}): ${three(part.ours)}, peer ${three(part.peer)}`,
    ),
    `  ${conditions}`,
    `  client: ${client}`,
  ];
}

/** A row for each figure, one for each of its parts below it, and what each was measured under. */
export function table(figures: Readonly<Record<string, Measured>>): string {
  const goalOf = ({wanted}: Figure, {goal}: Comparison) => `${wanted === 'at most' ? '≤' : '≥'} ${goal}`;
  const cells = ({ratio, ours, peer}: Comparison) => `${three(ratio)} | ${three(ours)} | ${three(peer)}`;
  const rows = Object.entries(figures).flatMap(([key, figure]) => [
    `| **${key}** | ${figure.title}, ${figure.unit} | ${goalOf(figure, figure)} ${verdict(figure)} | ${cells(figure)} |`,
    ...Object.entries(figure.parts ?? {}).map(
      ([name, part]) => `| | ${name} | ${goalOf(figure, part)} | ${cells(part)} |`,
    ),
  ]);
  const notes = Object.entries(figures).map(
    ([key, {conditions, client, measured}]) => `- ${key}: ${conditions}. Client: ${client}. ${measured}.`,
  );
  return [
    '| | what | goal | ratio | ours | peer |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
    'How much was under way, how busy the client was, and where and when it was measured:',
    '',
    ...notes,
  ].join('\n');
}
