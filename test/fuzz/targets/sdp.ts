import {parseMsrpUri} from '../../../lib/codecs/msrp/uri.ts';
import {
  type OwnMedia,
  buildAnswer,
  buildOffer,
  connectionRole,
  msrpMedia,
  msrpSections,
} from '../../../lib/codecs/sdp-msrp.ts';
import {attribute, attributeName, formatSdp, parseSdp} from '../../../lib/codecs/sdp.ts';
import {attempt, few, promise, promiseSame, type Target} from '../target.ts';

const origin = {host: '192.0.2.1', sessionId: '1', version: 1};
const own: OwnMedia = {host: '192.0.2.1', port: 2855, path: ['msrp://192.0.2.1:2855/own;tcp'], setup: 'passive'};
const ownTls: OwnMedia = {...own, path: ['msrps://192.0.2.1:2855/own;tcp']};

/** Session descriptions: unknown lines stay, and what the PF makes of them for its other leg is a description with its own path. */
export const sdp: Target = {
  name: 'sdp',
  clause: 'RFC 4566 §5, RFC 4975 §8',
  dictionary: [
    ...[
      'v=0\r\n',
      'o=- 1 1 IN IP4 192.0.2.2\r\n',
      'c=IN IP6 2001:db8::1\r\n',
      'm=message 2855 TCP/MSRP *\r\n',
      'm=message 9 TCP/TLS/MSRP *\r\n',
      'm=audio 0 RTP/AVP 0\r\n',
    ],
    ...[
      'a=path:msrp://192.0.2.2:2855/s;tcp\r\n',
      'a=setup:actpass\r\n',
      'a=accept-types:message/cpim *\r\n',
      'a=max-size:1\r\n',
      'a=fingerprint:SHA-256 AB:CD\r\n',
    ],
    ...['a=msrp-cema\r\n', 'a=sendonly\r\n', 'a=inactive\r\n', 'a=connection:new\r\n', '2855/2', 'TCP/MSRP', 'message'],
  ],
  check(input) {
    const {value: read, refusal} = attempt(() => parseSdp(input), 'CPM_SDP');
    if (read === undefined) return refusal;
    const {value: written} = attempt(() => parseSdp(formatSdp(read)), 'CPM_SDP');
    promiseSame(written ?? read, read, 'a description is written as it was read');
    const media = msrpSections(read);
    for (const each of media) {
      connectionRole(each, 'offered');
      for (const uri of each.path) attempt(() => parseMsrpUri(uri), 'CPM_MSRP_URI');
    }
    const live = media.filter(({refused}) => !refused);
    promise((msrpMedia(read) === undefined) === (live.length === 0), 'the first section is one of them');
    const each = live.map(({tls}) => (tls ? ownTls : own));
    isOurs(buildOffer({origin, capabilities: read, own: each, maxSize: 1000}), live.length);
    isOurs(buildAnswer({origin, offer: read, own: each}), live.length, read.sections.length);
    const refused = attempt(
      () => buildAnswer({origin, offer: read, own: live.map(() => own), capabilities: read}),
      'CPM_MSRP_TRANSPORT',
    );
    const shapes = media.map(
      ({tls, setup, direction, path}) => `${tls} ${setup ?? ''} ${direction} ${few(path.length)}`,
    );
    return `${refused.refusal ?? ''} ${few(read.sections.length)} ${[...new Set(shapes)].join()}`;
  },
};

/** A description that we made has our path, once in each section that lives. */
function isOurs(text: string, living: number, sections = living): void {
  // What is as large as can be read is larger when it is written for another leg.
  const {value: made} = attempt(() => parseSdp(text), 'CPM_SDP');
  if (made === undefined) {
    promise(text.length > 60_000 || text.split('\n').length > 2000, 'what we write can be read');
    return;
  }
  promise(made.sections.length === sections, 'each section is answered');
  const alive = msrpSections(made).filter(({refused}) => !refused);
  promise(alive.length === living, 'each section that lives is there');
  for (const {index} of alive) {
    const lines = made.sections[index]?.lines ?? [];
    promise(lines.filter((line) => attributeName(line) === 'path').length === 1, 'a section has one path');
    promise((attribute(lines, 'path') ?? '').endsWith('192.0.2.1:2855/own;tcp'), 'it is our path');
  }
}
