import {CpmError} from '../errors.ts';

/** One line of a session description (RFC 4566 §5): `a=path:…` is type `a`. */
export interface SdpLine {
  readonly type: string;
  readonly value: string;
}

/** One media section. */
export interface SdpSection {
  readonly media: string;
  /** 0 where the section is refused. */
  readonly port: number;
  readonly protocol: string;
  readonly formats: readonly string[];
  /** All lines of the section in order, the m= line first. */
  readonly lines: readonly SdpLine[];
}

/** A session description; lines that nobody knows stay in their place. */
export interface Sdp {
  readonly session: readonly SdpLine[];
  readonly sections: readonly SdpSection[];
}

// An offer has one or two sections of a dozen lines; what is longer is no description of a chat.
const MAX_OCTETS = 65_536;
const MAX_LINES = 2_000;
// Each one is looked at together with the session's lines and written again for the other leg.
const MAX_SECTIONS = 100;

/**
 * Reads a session description; lines may end with CRLF, LF or CR, so that none of them survives inside a copied line.
 *
 * @throws CpmError `CPM_SDP` (400).
 */
export function parseSdp(body: string | Uint8Array): Sdp {
  if (body.length > MAX_OCTETS) throw malformed('it is too long');
  const text = typeof body === 'string' ? body : Buffer.from(body).toString();
  const lines = text.split(/\r\n|\n|\r/).filter((line) => line !== '');
  if (lines.length > MAX_LINES) throw malformed('it has too many lines');
  const session: SdpLine[] = [];
  const sections: (SdpSection & {readonly lines: SdpLine[]})[] = [];
  for (const line of lines.map(parseLine)) {
    if (line.type === 'm') sections.push({...parseMedia(line.value), lines: [line]});
    else (sections.at(-1)?.lines ?? session).push(line);
  }
  if (sections.length > MAX_SECTIONS) throw malformed('it has too many sections');
  if (session[0]?.type !== 'v') throw malformed('it does not begin with its version');
  return {session, sections};
}

/** Writes a session description from its lines. */
export function formatSdp(sdp: Sdp): string {
  return [...sdp.session, ...sdp.sections.flatMap(({lines}) => lines)]
    .map(({type, value}) => `${type}=${value}\r\n`)
    .join('');
}

/** The name of an a= line: `path` of `a=path:…`; undefined for other lines. */
export function attributeName({type, value}: SdpLine): string | undefined {
  return type === 'a' ? value.split(':', 1)[0] : undefined;
}

/** The value of the first attribute of that name, `''` where it has none; undefined where there is no such attribute. */
export function attribute(lines: readonly SdpLine[], name: string): string | undefined {
  return lines
    .find((line) => attributeName(line) === name)
    ?.value.slice(name.length + 1)
    .trim();
}

function parseLine(line: string): SdpLine {
  if (!/^[a-z]=/.test(line)) throw malformed('a line has no type');
  return {type: line.charAt(0), value: line.slice(2)};
}

function parseMedia(value: string): Omit<SdpSection, 'lines'> {
  const [media = '', port = '', protocol = '', ...formats] = value.trim().split(/ +/);
  if (!/^[0-9]{1,5}(?:\/[0-9]+)?$/.test(port) || parseInt(port) > 65535 || protocol === '')
    throw malformed('an m= line is not understood');
  return {media, port: parseInt(port), protocol, formats};
}

function malformed(why: string): CpmError {
  return new CpmError('CPM_SDP', 400, `the session description cannot be read: ${why}`);
}
