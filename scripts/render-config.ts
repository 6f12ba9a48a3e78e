import {stringify} from 'yaml';
import {outline} from '../lib/config/outline.ts';
import type {Outline} from '../lib/config/outline.ts';

const width = 100;

/** The annotated example: every key of the schema with its default, so that the file as it stands changes nothing. */
export function renderExample(): string {
  const head = [
    '# Configuration of cpm-pf: every key with its default. A key without a value has none, and its comment says what holds then.',
    '# ${NAME} in a value stands for an environment variable: secrets come that way. Paths are relative to the folder of this file.',
  ];
  return `${[...head, ...Object.entries(outline.keys).flatMap(([key, at]) => ['', ...lines(key, at, '')])].join('\n')}\n`;
}

function lines(key: string, at: Outline, indent: string): string[] {
  const about = comment(`${at.description}${at.type === 'value' ? ` (${at.expected})` : ''}`, indent);
  if (at.type === 'section')
    return [...about, `${indent}${key}:`, ...entriesOf(at).flatMap(([inner, of]) => lines(inner, of, `${indent}  `))];
  if (at.default === undefined) return [...about, `${indent}${key}:`];
  const value = stringify(at.default, {
    collectionStyle: 'flow',
    flowCollectionPadding: false,
    lineWidth: 0,
    singleQuote: true,
  }).trim();
  return [...about, ...itemKeys(at, indent), `${indent}${key}: ${value}`, ...example(at, indent)];
}

function itemKeys(at: Outline, indent: string): string[] {
  return entriesOf(at.items).flatMap(([key, of]) => comment(`- ${key}: ${of.description} (${of.expected})`, indent));
}

/** An item of a list that is empty by default, out of force. */
function example(at: Outline, indent: string): string[] {
  if (at.example === undefined) return [];
  const item = stringify([at.example], {lineWidth: 0}).trim().split('\n');
  return item.map((line) => `${indent}#   ${line}`);
}

/** A row for each key, for the README. */
export function renderTable(): string {
  const rows = Object.entries(outline.keys).flatMap(([key, at]) => rowsOf(key, at));
  return ['| key | default | what it is |', '|---|---|---|', ...rows].join('\n');
}

function rowsOf(key: string, at: Outline): string[] {
  if (at.type === 'section') return entriesOf(at).flatMap(([inner, of]) => rowsOf(`${key}.${inner}`, of));
  const value = at.default === undefined ? '' : `\`${JSON.stringify(at.default)}\``;
  return [
    `| \`${key}\` | ${value} | ${at.description} |`,
    ...entriesOf(at.items).flatMap(([inner, of]) => rowsOf(`${key}[].${inner}`, of)),
  ];
}

/** Names stay in the order of the schema, which JavaScript keeps for all but numbers. */
function entriesOf(at: Outline | undefined): [string, Outline][] {
  return Object.entries(at?.keys ?? {});
}

function comment(text: string, indent: string): string[] {
  const result: string[] = [];
  for (const word of text.split(' ')) {
    const last = result.at(-1);
    if (last === undefined || last.length + word.length + 1 > width) result.push(`${indent}# ${word}`);
    else result[result.length - 1] = `${last} ${word}`;
  }
  return result;
}
