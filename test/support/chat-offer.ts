/** What an invitation to a chat says, for tests that write it themselves. */
import type {HeaderList} from '../../lib/phone/call.ts';

export const chatHeaders: HeaderList = [
  ['Conversation-ID', 'c'],
  ['Contribution-ID', 'd'],
  ['Accept-Contact', '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.session"'],
];

export const chatOffer = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=message 9 TCP/MSRP *',
  'a=path:msrp://127.0.0.1:9/abcdefgh;tcp',
  'a=setup:active',
  'a=accept-types:message/cpim',
  'a=sendrecv',
  '',
].join('\r\n');
