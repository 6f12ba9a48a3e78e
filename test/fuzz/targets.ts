import type {LiveTarget} from './live.ts';
import type {Target} from './target.ts';
import {cpim} from './targets/cpim.ts';
import {conferenceInfo, groupState, resourceLists} from './targets/group.ts';
import {msrpUri} from './targets/msrp-uri.ts';
import {msrp} from './targets/msrp.ts';
import {multipart} from './targets/multipart.ts';
import {relay} from './targets/relay.ts';
import {sdp} from './targets/sdp.ts';
import {sipHeaders} from './targets/sip-headers.ts';
import {sipMessage} from './targets/sip-message.ts';
import {sip} from './targets/sip.ts';
import {imdn, iscomposing, reginfo, xml} from './targets/xml.ts';

/** Every reader of what comes from outside. */
export const targets: readonly Target[] = [
  ...[msrp, msrpUri, cpim, imdn, iscomposing, sdp, multipart, xml, reginfo, sipHeaders, sipMessage],
  ...[resourceLists, conferenceInfo, groupState],
];

/** Processes that take it from sockets. */
export const liveTargets: readonly LiveTarget[] = [relay, sip];
