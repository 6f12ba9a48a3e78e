import {headerOf, headersOf} from '../../../lib/codecs/sip-message.ts';
import {freePort} from '../../../lib/demo/pf-process.ts';
import {account, isNotified} from '../../../lib/phone/ledger.ts';
import {Refused} from '../../../lib/phone/phone.ts';
import {bobAddress, deployment} from '../../support/deployment.ts';
import {addressOf} from '../../support/registrar-peer.ts';
import {startScscf} from './kamailio.ts';
import {testWith} from './programs.ts';

const withKamailio = testWith(['kamailio']);

withKamailio(
  'TS 24.229 §5.4.3.3: Kamailio as S-CSCF hands over by filter criteria, and knows what comes back by its dialog identifier',
  async (t) => {
    t.timeout(120_000);
    const port = await freePort();
    const pf = await deployment(t, {
      config: {sip: {outboundProxy: `sip:127.0.0.1:${port};transport=tcp`, inviteSeconds: 20}},
    });
    const scscf = await startScscf(t, port, addressOf(pf));
    const [alice, bob] = [await pf.alice({core: scscf.uri}), await pf.bob({core: scscf.uri})];
    const registered = async (times: number): Promise<void> => {
      await pf.pf.log.atLeast(times, ({msg}) => msg === 'a served user is registered');
    };
    await alice.register();
    await registered(1);

    // Bob is off: the core says so, the PF accepts, and nothing of it goes back.
    const away = await alice.startChat(bobAddress);
    for (const text of ['one', 'two', 'three']) t.true((await away.sendText(text)).accepted);
    await away.end();
    t.deepEqual(scscf.handed('back'), []);
    t.is(scscf.handed('to the PF').length, 1);

    // His registration brings the delivery; its INVITE comes by the PF once more, and passes on.
    await bob.register();
    await bob.messages.atLeast(3);
    await alice.sent.atLeast(3, (message) => isNotified(message));
    t.like(account(alice.sent.items, bob.messages.items), {delivered: 3, identical: true, inOrder: true});
    const [delivery] = bob.requests.items.filter(({method}) => method === 'INVITE');
    t.true((headerOf(delivery ?? t.fail(), 'P-Asserted-Identity') ?? '').includes('rcse-standfw@'));

    // A live call: the leg towards Bob goes back along the Route, with the identifier of Alice's request.
    const invites = (way: 'to the PF' | 'back') => scscf.handed(way).filter(({method}) => method === 'INVITE');
    const known = invites('to the PF').length;
    const returned = invites('back').length;
    const live = await alice.startChat(bobAddress);
    t.true((await live.sendText('live')).accepted);
    const {session} = await bob.messages.first(({text}) => text === 'live');
    t.true((await session.sendText('and back')).accepted);
    await alice.messages.first(({text}) => text === 'and back');
    const [handed] = invites('to the PF').slice(known);
    const [back] = invites('back').slice(returned);
    t.truthy(handed);
    t.is(back?.odi, handed?.odi);
    const invite = session.call.invite;
    t.regex(headersOf(invite, 'P-Charging-Vector').join(), /icid-value="[^"]+";orig-ioi="home\.example"/);
    t.deepEqual(headersOf(invite, 'P-Served-User'), []);
    t.is(await live.end(), 200);
    t.is((await session.ended).by, 'peer');

    // What comes back is only what was handed over, each identifier as it was.
    const given = scscf.handed('to the PF').map(({odi}) => odi);
    t.true(scscf.handed('back').every(({odi}) => given.includes(odi)));

    bob.onInvitation = (invitation) => {
      invitation.refuse(603);
    };
    const refused = await t.throwsAsync(alice.startChat(bobAddress), {instanceOf: Refused});
    t.is(refused.response.status, 603);
  },
);
