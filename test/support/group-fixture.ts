/** Messages of test/fixtures/group, which no code of this project made. */
import {readFileSync} from 'node:fs';
import path from 'node:path';

export type GroupFixture =
  | 'invite-list-first'
  | 'invite-description-only'
  | 'invite-extension'
  | 'notify-full'
  | 'notify-partial'
  | 'notify-deleted';

/** A message as raw SIP peers send it: start line with headers, and body. */
export interface FilledFixture {
  readonly head: string;
  readonly body: Buffer;
  /** The whole of it; no Content-Length is added. */
  readonly bytes: Buffer;
}

/** Reads a message and fills its `{{name}}`s in; throws where one has no value. */
export function groupFixture(name: GroupFixture, values: Readonly<Record<string, string | number>>): FilledFixture {
  const written = readFileSync(path.join('test', 'fixtures', 'group', `${name}.sip`), 'utf8');
  const filled = written.replaceAll(/\{\{(\w+)\}\}/g, (_, key: string) => {
    const value = values[key];
    if (value === undefined) throw new Error(`${name}.sip wants ${key}`);
    return String(value);
  });
  const text = filled.replaceAll('\n', '\r\n');
  const end = text.indexOf('\r\n\r\n');
  return {head: text.slice(0, end), body: Buffer.from(text.slice(end + 4)), bytes: Buffer.from(text)};
}
