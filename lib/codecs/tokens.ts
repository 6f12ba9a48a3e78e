/**
 * What SIP and MIME headers have in common: lists, parameters, quoted strings (RFC 3261 §25.1, RFC 2045 §5.1). Every function looks at
 * each character a fixed number of times.
 */

/** Parameters by lower-case name; quotes taken off the values; undefined for a parameter without a value. The first of two counts. */
export type Params = ReadonlyMap<string, string | undefined>;

/** Positions of the wanted characters that stand outside quoted strings and angle brackets. An opening `<` itself is outside. */
export function positionsOutside(text: string, wanted: string): number[] {
  const positions: number[] = [];
  let inside: '' | '"' | '>' = '';
  for (let index = 0; index < text.length; index++) {
    const character = text.charAt(index);
    if (inside === '"' && character === '\\') index++;
    else if (inside !== '') inside = character === inside ? '' : inside;
    else {
      if (character === '"') inside = '"';
      else if (character === '<') inside = '>';
      if (wanted.includes(character)) positions.push(index);
    }
  }
  return positions;
}

/** Splits at a separator, but not inside quoted strings and angle brackets; trims the pieces, leaves out empty ones. */
export function splitOutside(text: string, separator: ',' | ';'): string[] {
  const pieces: string[] = [];
  let start = 0;
  for (const end of [...positionsOutside(text, separator), text.length]) {
    const piece = text.slice(start, end).trim();
    if (piece !== '') pieces.push(piece);
    start = end + 1;
  }
  return pieces;
}

/** Reads `;a=b;c;d="e"`, the leading semicolon optional, blanks anywhere between tokens. */
export function parseParams(text: string): Params {
  const params = new Map<string, string | undefined>();
  for (const piece of splitOutside(text, ';')) {
    const equals = piece.indexOf('=');
    const name = (equals === -1 ? piece : piece.slice(0, equals)).trim().toLowerCase();
    if (name !== '' && !params.has(name))
      params.set(name, equals === -1 ? undefined : unquote(piece.slice(equals + 1)));
  }
  return params;
}

/** Writes `;a=b;c;d="e"`: quoted where the value is not a token, and always for feature tags (`+…`), as RFC 3840 §9 wants. */
export function formatParams(params: Iterable<readonly [string, string | undefined]>): string {
  let text = '';
  for (const [name, value] of params) {
    text += `;${name}`;
    if (value !== undefined) text += `=${name.startsWith('+') || !isToken(value) ? quote(value) : value}`;
  }
  return text;
}

/** Whether the text is a token, or a host, which parameters may carry bare as well (RFC 3261 §25.1). */
function isToken(text: string): boolean {
  return /^[\w.!%*+`'~:[\]-]+$/.test(text);
}

/** A quoted string; control characters become blanks, so that nothing can begin a new line. */
export function quote(text: string): string {
  return `"${text.replace(/[\u0000-\u001f\u007f]/g, ' ').replace(/["\\]/g, '\\$&')}"`;
}

/** Takes off blanks, the quotes of a quoted string, and its escapes; a missing closing quote is forgiven. */
export function unquote(text: string): string {
  const trimmed = text.trim();
  if (!trimmed.startsWith('"')) return trimmed;
  let value = '';
  for (let index = 1; index < trimmed.length && trimmed.charAt(index) !== '"'; index++) {
    if (trimmed.charAt(index) === '\\') index++;
    value += trimmed.charAt(index);
  }
  return value;
}
