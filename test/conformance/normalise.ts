/** What a server said, with everything that differs from run to run replaced by names: what is left is what the server does. */

/** What one actor received, in order; actors race, so each has his own. */
export interface Lane {
  readonly name: string;
  readonly texts: readonly string[];
}

/** Addresses of this run: `host:port` is shown as `{name}`. */
export type Ports = ReadonlyMap<number, string>;

/** A transcript as text: one paragraph per message, lanes in the order given. */
export function normalise(lanes: readonly Lane[], ports: Ports): string {
  const names = new Names();
  return lanes
    .map(
      ({name, texts}) => `== ${name}\n${texts.map((text) => `--\n${normaliseOne(text, ports, names)}`).join('\n')}\n`,
    )
    .join('');
}

/** Placeholders are numbered by first appearance, so that equal values stay visibly equal. */
class Names {
  readonly #known = new Map<string, string>();
  readonly #counts = new Map<string, number>();
  readonly #bases = new Map<string, number>();

  of(kind: string, value: string): string {
    const key = `${kind} ${value}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    const name = `{${kind}${count}}`;
    this.#known.set(key, name);
    return name;
  }

  /** A number that starts anywhere and counts: `{cseq}`, `{cseq}+1`. */
  relative(kind: string, within: string, value: number): string {
    const key = `${kind} ${within}`;
    const base = this.#bases.get(key) ?? value;
    this.#bases.set(key, base);
    return value === base ? `{${kind}}` : `{${kind}}+${value - base}`;
  }
}

const uuid = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;

function normaliseOne(text: string, ports: Ports, names: Names): string {
  const callId = /^Call-ID: (.*)$/im.exec(text)?.[1] ?? '';
  let result = ordered(frameSizes(text).replaceAll('\r\n', '\n').trimEnd())
    .replace(/^((?:[^|\n]*\|)*)v\d+\.\d+\.\d+[^|]*\|/, '$1{version}|')
    .replaceAll(/\b\d\d:\d\d:\d\d\.\d{6}\b/g, '{time}')
    .replaceAll(/^(CSeq): (\d{6,}) /gim, (_, name: string, number: string) => {
      return `${name}: ${names.relative('cseq', callId, Number(number))} `;
    })
    .replaceAll(/^(RSeq|RAck): (\d+)/gim, (_, name: string, number: string) => {
      return `${name}: ${names.relative('rseq', callId, Number(number))}`;
    })
    .replaceAll(/^(RAck: \S+) (\d{6,}) /gim, (_, before: string, number: string) => {
      return `${before} ${names.relative('cseq', callId, Number(number))} `;
    })
    .replaceAll(/\b(call|z9hG4bK-s)-([a-z]+-\d+)-[0-9a-f]{8}/g, '$1-$2')
    .replaceAll(/branch=z9hG4bK(?!-s-)[^;\s>,]+/g, (branch) => `branch=${names.of('branch', branch)}`)
    .replaceAll(/tag=(?!t-)([^;|\s>,]+)/g, (_, tag: string) => `tag=${names.of('tag', tag)}`)
    .replaceAll(uuid, (id) => names.of('id', id));
  for (const [port, name] of ports) {
    result = result.replaceAll(new RegExp(`127\\.0\\.0\\.1[:|]${port}\\b`, 'g'), `{${name}}`);
    result = result.replaceAll(new RegExp(`(=|\\|)${port}\\b`, 'g'), `$1{${name}.port}`);
  }
  return result;
}

/**
 * Header lines unfolded and sorted by name: neither folding, nor spaces around the colon, nor the order of different headers says
 * anything (RFC 3261 §7.3.1); that of equal ones stays.
 */
function ordered(text: string): string {
  const start =
    /^(?:(?:response|sip|cdr:[a-z]+)\|.*\n)?\S.*SIP\/\d\.\d.*\n|^(?:(?:response|sip|cdr:[a-z]+)\|.*\n)?SIP\/2\.0 .*\n/.exec(
      text,
    )?.[0];
  if (start === undefined) return text;
  const rest = text.slice(start.length);
  const end = rest.indexOf('\n\n');
  const head = end < 0 ? rest : rest.slice(0, end);
  const lines = head
    .replaceAll(/[ \t]*\n[ \t]+/g, ' ')
    .split('\n')
    .map((line) => line.replace(/^([^\s:]+)\s*:[ \t]*(.*?)[ \t]*$/, '$1: $2'));
  const name = (line: string): string => (line.split(':')[0] ?? '').toLowerCase();
  const sorted = lines.toSorted((one, other) => (name(one) < name(other) ? -1 : name(one) > name(other) ? 1 : 0));
  return `${start}${sorted.join('\n')}${end < 0 ? '' : rest.slice(end)}`;
}

/** The octets of a message on the wire, Via as it was, follow from ids; none are counted for a message that was made here. */
function frameSizes(text: string): string {
  return text.replace(/^((?:[^|\r\n]*\|)*(?:network|application)\|)(\d+)\|/, (_, before: string, count: string) => {
    return `${before}${count === '0' ? '0' : '{size}'}|`;
  });
}
