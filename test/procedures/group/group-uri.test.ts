import test from 'ava';
import type {SipRequestView} from '../../../lib/ports/sip.ts';
import {focusOf, groupOf} from '../../../lib/procedures/group/group-uri.ts';
import type {Context} from '../../../lib/procedures/context.ts';

const context = {sip: {isOwn: (uri: string) => uri.includes('192.0.2.1')}} as unknown as Context;
const request = (uri: string, contributionId?: string): SipRequestView =>
  ({
    uri,
    header: (name: string) => (name === 'Contribution-ID' ? contributionId : undefined),
  }) as unknown as SipRequestView;

for (const [what, uri, header, group] of [
  ['this node, whatever the header says', 'sip:192.0.2.1;transport=tcp;ocid=a%40b', 'other', 'a@b'],
  ['another node, the header being the same', 'sip:192.0.2.2;ocid=a%40b', 'a@b', 'a@b'],
  ['another host, for another group', 'sip:192.0.2.2;ocid=a%40b', 'other', undefined],
  ['another host, without a header', 'sip:192.0.2.2;ocid=a%40b', undefined, undefined],
  ['no group', 'sip:192.0.2.1', 'other', undefined],
  ['no SIP URI', 'tel:+15550102;ocid=a', 'a', undefined],
] as const)
  test(`8.3.2.9.1.3 D1: the group in a Request-URI of ${what}`, (t) => {
    t.is(groupOf(context, request(uri, header)), group);
  });

for (const [what, contact, focus] of [
  ['a focus', '<sip:focus@192.0.2.9;ocid=a>;isfocus', 'sip:focus@192.0.2.9;ocid=a'],
  ['a focus on the same SIP server', '<sip:focus@192.0.2.1>;isfocus', 'sip:focus@192.0.2.1'],
  ['the PF itself', '<sip:192.0.2.1;ocid=a>;isfocus', undefined],
  ['no focus', '<sip:focus@192.0.2.9>', undefined],
] as const)
  test(`8.2.2.7 T46: the session identity in the Contact of ${what}`, (t) => {
    t.is(focusOf(context, {header: (name) => (name === 'Contact' ? contact : undefined)}), focus);
  });
