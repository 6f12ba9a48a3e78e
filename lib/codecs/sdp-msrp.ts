/** MSRP sessions in SDP: RFC 4975 §8, RFC 6135 (who connects), RFC 6714 (middleboxes), and the offers and answers of a B2BUA's leg. */
import {CpmError} from '../errors.ts';
import {parseMsrpUri} from './msrp/uri.ts';
import {type Sdp, type SdpLine, type SdpSection, attribute, attributeName, formatSdp} from './sdp.ts';

export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';
export type Setup = 'active' | 'passive' | 'actpass' | 'holdconn';

/** What a section for MSRP says. */
export interface MsrpMedia {
  /** Position among all sections. */
  readonly index: number;
  /** Port 0: refused, or ended. */
  readonly refused: boolean;
  readonly port: number;
  readonly tls: boolean;
  /** Host of the c= line, the section's own or the session's. */
  readonly host: string | undefined;
  /** MSRP URIs, the first one is where to connect; empty where there is no a=path. */
  readonly path: readonly string[];
  readonly acceptTypes: readonly string[];
  /** Undefined where the attribute is absent, which is not the same as none (row A19). */
  readonly acceptWrappedTypes: readonly string[] | undefined;
  /** Octets. */
  readonly maxSize: number | undefined;
  readonly setup: Setup | undefined;
  /** `SHA-256 AB:CD:…`, as written: the section's own, or where it has none the session's (RFC 8122 §5). */
  readonly fingerprints: readonly string[];
  /** RFC 6714: c= and m= say where to connect. */
  readonly cema: boolean;
  readonly direction: Direction;
}

/** Where one MSRP session of ours is reached. */
export interface OwnMedia {
  readonly host: string;
  /** 9 where we connect (RFC 4145 §4.1). */
  readonly port: number;
  /** Our MSRP URIs, where to connect first; `msrps:` makes it TLS. */
  readonly path: readonly string[];
  readonly setup: 'active' | 'passive' | 'actpass';
  readonly fingerprint?: string | undefined;
  readonly cema?: boolean | undefined;
}

/** The o= line: kept as it is when nothing changed, `version` one more when anything did (row E6). */
export interface SdpOrigin {
  readonly host: string;
  /** Digits. */
  readonly sessionId: string;
  readonly version: number;
}

interface LegSdp {
  readonly origin: SdpOrigin;
  /** The far side's description, whose capabilities are repeated. */
  readonly capabilities?: Sdp | undefined;
  /** Most octets a message may have for us; the smaller one of this and the far side's is written. */
  readonly maxSize?: number | undefined;
  /** Overrides the direction that follows from the far side's. */
  readonly direction?: Direction | undefined;
}

const DIRECTIONS: readonly Direction[] = ['sendrecv', 'sendonly', 'recvonly', 'inactive'];
const SETUPS: readonly Setup[] = ['active', 'passive', 'actpass', 'holdconn'];

// What belongs to a connection or its keys is each leg's own (CPM-CF 5.2.1.2, 5.2.1.4; T20).
const NEVER_COPIED: ReadonlySet<string | undefined> = new Set([
  ...['path', 'setup', 'connection', 'fingerprint', 'msrp-cema', 'tls-id', 'crypto', 'key-mgmt'],
  ...['ice-ufrag', 'ice-pwd', 'ice-options', 'candidate', 'remote-candidates'],
]);

// Offered where no description of the far side is at hand: a chat that admits every content.
const ANY_CHAT: readonly SdpLine[] = [
  {type: 'a', value: 'accept-types:message/cpim'},
  {type: 'a', value: 'accept-wrapped-types:*'},
];

/** All MSRP sections in order, refused ones included. */
export function msrpSections(sdp: Sdp): readonly MsrpMedia[] {
  return sdp.sections.flatMap((section, index) => (isMsrp(section) ? [readMsrp(sdp, section, index)] : []));
}

/** The first MSRP section that is not refused. */
export function msrpMedia(sdp: Sdp): MsrpMedia | undefined {
  return msrpSections(sdp).find(({refused}) => !refused);
}

/** MSRP sections that could be used, in order: not refused, with a path whose first URI is by TCP, or by TLS where the m= line says so (RFC 4975 §8.1). */
export function usableSections(sdp: Sdp): readonly MsrpMedia[] {
  return msrpSections(sdp).filter(({refused, tls, path}) => !refused && isReachable(path[0], tls));
}

/** The description with no other section than this one. */
export function onlySection(sdp: Sdp, {index}: MsrpMedia): Sdp {
  return {session: sdp.session, sections: sdp.sections.slice(index, index + 1)};
}

/**
 * Who connects: `active` when we do. `we` says whether the peer's section answers our offer (`offered`) or we answer his. Where we answer,
 * the same word is our a=setup. Without a=setup the offerer connects (RFC 4975 §5.4), and holdconn is read as none (RFC 6135 §4.2). Where an
 * offer leaves us the choice, actpass, it is `choice`: passive becomes one who can be reached.
 */
export function connectionRole(
  peer: Pick<MsrpMedia, 'setup'>,
  we: 'offered' | 'answer',
  choice: 'active' | 'passive' = 'passive',
): 'active' | 'passive' {
  if (peer.setup === 'active') return 'passive';
  if (peer.setup === 'passive') return 'active';
  if (we === 'offered') return 'active';
  return peer.setup === 'actpass' ? choice : 'passive';
}

/**
 * An offer for one leg: a section for each MSRP session of the far side that is not refused, in order, as far as `own` has one for it.
 * Capabilities and unknown attributes are the far side's, connection data are `own`. Without capabilities it offers a chat for any content.
 */
export function buildOffer(leg: LegSdp & {readonly own: readonly OwnMedia[]}): string {
  const {capabilities, own} = leg;
  const live = capabilities === undefined ? [] : msrpSections(capabilities).filter(({refused}) => !refused);
  const sections = own.flatMap((media, position): SdpSection[] => {
    const far = live[position];
    if (capabilities !== undefined && far === undefined) return [];
    return [ownSection(leg, media, far, copyable(capabilities, far))];
  });
  return formatSdp({session: sessionLines(leg.origin), sections});
}

/**
 * An answer for one leg: the offer's sections in order. The k-th offered MSRP session takes `own[k]`; those that have one take the
 * capabilities of the far side's MSRP sections in order (its answer to our offer), or without `capabilities` repeat the offer's own, as for a
 * phone that is away. Whatever is no MSRP, has no `own`, or was refused by the far side gets port 0 (RFC 3264 §6). The direction is never
 * wider than was offered.
 *
 * @throws CpmError `CPM_MSRP_TRANSPORT` (488) when TLS was offered and `own` is without, or the other way round.
 */
export function buildAnswer(
  leg: LegSdp & {readonly offer: Sdp; readonly own: readonly (OwnMedia | undefined)[]},
): string {
  const {offer, own, capabilities} = leg;
  const live = msrpSections(offer).filter(({refused}) => !refused);
  const answered = capabilities && msrpSections(capabilities);
  let taken = 0;
  const sections = offer.sections.map((section, index): SdpSection => {
    const position = live.findIndex((media) => media.index === index);
    const offered = live[position];
    const media = own[position];
    const far = answered === undefined || media === undefined ? offered : answered[taken++];
    if (offered === undefined || media === undefined || far === undefined || far.refused)
      return refusedSection(section);
    if (isTls(media) !== offered.tls)
      throw new CpmError('CPM_MSRP_TRANSPORT', 488, 'MSRP was offered over another transport');
    const wanted = leg.direction ?? (capabilities === undefined ? 'sendrecv' : far.direction);
    return ownSection(
      {...leg, direction: narrowed(wanted, offered.direction)},
      media,
      far,
      copyable(capabilities ?? offer, far),
    );
  });
  return formatSdp({session: sessionLines(leg.origin), sections});
}

function readMsrp(sdp: Sdp, section: SdpSection, index: number): MsrpMedia {
  const {port, lines} = section;
  const inherited = (name: string) => attribute(lines, name) ?? attribute(sdp.session, name);
  const connection = lines.find(({type}) => type === 'c') ?? sdp.session.find(({type}) => type === 'c');
  const setup = inherited('setup')?.toLowerCase();
  const maxSize = attribute(lines, 'max-size') ?? '';
  return {
    index,
    refused: port === 0,
    port,
    tls: /\/TLS\//i.test(section.protocol),
    host: connection?.value.trim().split(/ +/)[2],
    path: words(attribute(lines, 'path')) ?? [],
    acceptTypes: words(attribute(lines, 'accept-types')) ?? [],
    acceptWrappedTypes: words(attribute(lines, 'accept-wrapped-types')),
    maxSize: /^[0-9]{1,15}$/.test(maxSize) ? Number(maxSize) : undefined,
    setup: SETUPS.find((name) => name === setup),
    fingerprints: fingerprintsOf(lines) ?? fingerprintsOf(sdp.session) ?? [],
    cema: inherited('msrp-cema') !== undefined,
    direction: directionOf(lines) ?? directionOf(sdp.session) ?? 'sendrecv',
  };
}

function fingerprintsOf(lines: readonly SdpLine[]): readonly string[] | undefined {
  const found = lines.filter((line) => attributeName(line) === 'fingerprint');
  return found.length === 0 ? undefined : found.map(({value}) => value.slice('fingerprint:'.length).trim());
}

function directionOf(lines: readonly SdpLine[]): Direction | undefined {
  return DIRECTIONS.find((direction) => lines.some((line) => line.type === 'a' && line.value.trim() === direction));
}

/** Lines of a far section that our own may repeat: its title and its attributes. */
function copyable(sdp: Sdp | undefined, far: MsrpMedia | undefined): readonly SdpLine[] {
  if (sdp === undefined || far === undefined) return ANY_CHAT;
  return (sdp.sections[far.index]?.lines ?? []).filter((line) => {
    const name = attributeName(line);
    if (line.type !== 'a') return line.type === 'i';
    return (
      !NEVER_COPIED.has(name) && name !== 'max-size' && !DIRECTIONS.some((direction) => direction === line.value.trim())
    );
  });
}

function ownSection(leg: LegSdp, own: OwnMedia, far: MsrpMedia | undefined, copied: readonly SdpLine[]): SdpSection {
  const protocol = isTls(own) ? 'TCP/TLS/MSRP' : 'TCP/MSRP';
  const maxSize = Math.min(far?.maxSize ?? Infinity, leg.maxSize ?? Infinity);
  const attributes = [
    `path:${own.path.join(' ')}`,
    `setup:${own.setup}`,
    ...(own.fingerprint === undefined ? [] : [`fingerprint:${own.fingerprint}`]),
    ...(own.cema === true ? ['msrp-cema'] : []),
    ...(maxSize === Infinity ? [] : [`max-size:${maxSize}`]),
    leg.direction ?? far?.direction ?? 'sendrecv',
  ];
  const lines = [
    {type: 'm', value: `message ${own.port} ${protocol} *`},
    ...copied.filter(({type}) => type === 'i'),
    ...(own.host === leg.origin.host ? [] : [connectionLine(own.host)]),
    ...copied.filter(({type}) => type === 'a'),
    ...attributes.map((value) => ({type: 'a', value})),
  ];
  return {media: 'message', port: own.port, protocol, formats: ['*'], lines};
}

function refusedSection({media, protocol, formats}: SdpSection): SdpSection {
  const value = [media, '0', protocol, ...(formats.length === 0 ? ['*'] : formats)].join(' ');
  return {media, port: 0, protocol, formats, lines: [{type: 'm', value}]};
}

function sessionLines({host, sessionId, version}: SdpOrigin): readonly SdpLine[] {
  return [
    {type: 'v', value: '0'},
    {type: 'o', value: `- ${sessionId} ${version} ${network(host)}`},
    {type: 's', value: '-'},
    connectionLine(host),
    {type: 't', value: '0 0'},
  ];
}

function connectionLine(host: string): SdpLine {
  return {type: 'c', value: network(host)};
}

function network(host: string): string {
  return `IN ${host.includes(':') ? 'IP6' : 'IP4'} ${host}`;
}

/** What we may answer: to send where the offerer receives, to receive where he sends (RFC 3264 §6.1). */
function narrowed(wanted: Direction, offered: Direction): Direction {
  const sends = wanted.startsWith('send') && offered.includes('recv');
  const receives = wanted.includes('recv') && offered.startsWith('send');
  if (sends) return receives ? 'sendrecv' : 'sendonly';
  return receives ? 'recvonly' : 'inactive';
}

function isTls(own: OwnMedia): boolean {
  return /^msrps:/i.test(own.path[0] ?? '');
}

function isReachable(uri: string | undefined, tls: boolean): boolean {
  try {
    const {secure, transport} = parseMsrpUri(uri ?? '');
    return secure === tls && transport === 'tcp';
  } catch {
    // The peer's word, and not an MSRP URI.
    return false;
  }
}

function isMsrp({media, protocol}: SdpSection): boolean {
  return media.toLowerCase() === 'message' && /^TCP\/(?:TLS\/)?MSRP$/i.test(protocol);
}

function words(value: string | undefined): readonly string[] | undefined {
  return value?.split(/[ \t]+/).filter((word) => word !== '');
}
