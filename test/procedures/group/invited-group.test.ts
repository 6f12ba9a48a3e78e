import test from 'ava';
import {groupFor} from '../../../lib/procedures/group/invited-group.ts';

type Arguments = Parameters<typeof groupFor>;

test('RFC 5364 §5 C2: who stays anonymous in the list of an INVITE is nobody whom the PF could name again', (t) => {
  const context = {policy: {node: 'pf-1'}, clock: {now: () => 0}} as unknown as Arguments[0];
  const invitation = {
    ...{servedUser: 'tel:+15550102', contributionId: 'group', conversationId: 'talk', subject: undefined, offer: ''},
  } as unknown as Arguments[1];
  const of = (...uris: readonly string[]) =>
    groupFor(context, invitation, undefined, {
      ...{focus: 'sip:focus@cf.example', memberAddress: 'sip:+15550102@home.example'},
      invited: uris.map((uri) => ({uri})),
    }).conference.participants.map(({entity}) => entity);
  t.deepEqual(of('sip:anonymous@anonymous.invalid', 'sip:alice@home.example'), ['sip:alice@home.example']);
  t.deepEqual(of('sip:Anonymous@ANONYMOUS.invalid;user=phone'), []);
});
