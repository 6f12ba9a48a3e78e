/** Answers that cross, and answers of several: CANCEL against 200, ringing with several tags, 422 (RFC 3261 §9, §13, RFC 4028 §7.3). */
import {randomUUID} from 'node:crypto';
import test from 'ava';
import type {ExecutionContext} from 'ava';
import {deployment, type Deployment} from '../support/deployment.ts';
import {nothingIsLeft} from '../support/nothing-left.ts';
import type {RawMessage} from '../support/raw-sip.ts';
import {answerSdp, binding, final, inside, pathIn, scscf, served, user, type Scscf} from '../support/scscf.ts';

interface Invited {
  readonly pf: Deployment;
  readonly core: Scscf;
  /** What the device gets. */
  readonly back: RawMessage;
  /** What the inviter sends about his INVITE: CANCEL. */
  readonly cancel: () => void;
}

/** An S-CSCF has handed an INVITE over, and has the one for the device. */
async function invited(t: ExecutionContext): Promise<Invited> {
  t.timeout(60_000);
  const pf = await deployment(t, {config: served});
  const core = await scscf(t, pf);
  core.hand('register');
  await final(core);
  const [branch, callid] = [`z9hG4bK${randomUUID()}`, randomUUID()];
  core.hand('invite', {branch, callid});
  return {
    pf,
    core,
    back: await core.next('INVITE'),
    cancel() {
      core.send(
        [
          `CANCEL ${user} SIP/2.0`,
          `Via: SIP/2.0/TCP ${core.address};branch=${branch}`,
          'Max-Forwards: 67',
          'From: <sip:user1_public1@home1.net>;tag=171828',
          `To: <${user}>`,
          `Call-ID: ${callid}`,
          'CSeq: 127 CANCEL',
          'Reason: SIP;cause=200;text="Call completed"',
        ].join('\n'),
      );
    },
  };
}

const accepted = (core: Scscf): readonly string[] => [
  `Contact: <sip:user2@${core.address};transport=tcp>`,
  'Content-Type: application/sdp',
];

/** A request as the phone with that tag has it. */
const tagged = (request: RawMessage, tag: string): RawMessage => ({
  ...request,
  header: (name) => (name === 'To' ? `${request.header('To')};tag=${tag}` : request.header(name)),
});

test.serial(
  "8.3.2.1 RFC 3261 §9.1: the device's 200 crosses the CANCEL: it is acknowledged and ended with a BYE, the inviter has his 487",
  async (t) => {
    const {pf, core, back, cancel} = await invited(t);
    core.answer(back, '180 Ringing');
    await core.next('SIP/2.0 180');
    cancel();
    t.is((await core.next('SIP/2.0 487')).header('CSeq'), '127 INVITE');
    const theirs = await core.next('CANCEL');
    t.is(theirs.header('Reason'), 'SIP;cause=200;text="Call completed"');
    core.answer(back, '200 OK', accepted(core), answerSdp('msrp://127.0.0.1:9/device1;tcp'));
    core.answer(theirs, '200 OK');
    t.is((await core.next('ACK')).header('Call-ID'), back.header('Call-ID'));
    const bye = await core.next('BYE');
    t.is(bye.header('Call-ID'), back.header('Call-ID'));
    core.answer(bye, '200 OK');
    await nothingIsLeft(pf);
    t.like(await pf.status(), {ledger: {accepted: 0}});
  },
);

test.serial(
  "8.3.2.1 RFC 3261 §9.2: the inviter's CANCEL crosses our 200: it changes nothing, he ends the session with a BYE",
  async (t) => {
    const {pf, core, back, cancel} = await invited(t);
    core.answer(back, '200 OK', accepted(core), answerSdp('msrp://127.0.0.1:9/device1;tcp'));
    await core.next('ACK');
    const answered = await final(core);
    t.true(answered.startLine.startsWith('SIP/2.0 200'));
    cancel();
    t.is((await final(core)).header('CSeq'), '127 CANCEL');
    inside(core, 'ACK', answered);
    await binding(t, pathIn(answered), 'msrp://127.0.0.1:9/anicf73hj;tcp');
    await binding(t, pathIn(back), 'msrp://127.0.0.1:9/device1;tcp');
    inside(core, 'BYE', answered);
    core.answer(await core.next('BYE'), '200 OK');
    t.is((await final(core)).header('CSeq'), '128 BYE');
    await nothingIsLeft(pf);
  },
);

test.serial(
  '8.3.2.1 RFC 3261 §13.2.2: behind the device phones ring with tags of their own: the inviter sees one, and the ACK goes to the one that took it',
  async (t) => {
    const {core, back} = await invited(t);
    core.answer(tagged(back, 'one'), '180 Ringing');
    core.answer(tagged(back, 'two'), '183 Session Progress');
    core.answer(tagged(back, 'two'), '180 Ringing');
    const ringing = await core.next('SIP/2.0 180');
    core.answer(tagged(back, 'two'), '200 OK', accepted(core), answerSdp('msrp://127.0.0.1:9/device1;tcp'));
    t.regex((await core.next('ACK')).header('To'), /tag=two/);
    const answered = await final(core);
    t.is(answered.header('To'), ringing.header('To'));
    t.is(core.received.filter(({startLine}) => /^SIP\/2.0 18/.test(startLine)).length, 1);
    inside(core, 'ACK', answered);
    await binding(t, pathIn(answered), 'msrp://127.0.0.1:9/anicf73hj;tcp');
    await binding(t, pathIn(back), 'msrp://127.0.0.1:9/device1;tcp');
    inside(core, 'BYE', answered);
    const bye = await core.next('BYE');
    t.regex(bye.header('To'), /tag=two/);
    core.answer(bye, '200 OK');
    await final(core);
  },
);

test.serial(
  '8.3.2.1 RFC 4028 §7.3: a device that wants another session timer gets it; each leg has its own',
  async (t) => {
    const {core, back} = await invited(t);
    t.is(back.header('Session-Expires'), '1800');
    core.answer(back, '422 Session Interval Too Small', ['Min-SE: 3600']);
    const again = await core.next('INVITE');
    t.is(again.header('Session-Expires'), '3600');
    t.deepEqual(again.headers('Route'), [core.odi]);
    t.is(again.body.toString(), back.body.toString());
    core.answer(
      again,
      '200 OK',
      [...accepted(core), 'Session-Expires: 3600;refresher=uas'],
      answerSdp('msrp://127.0.0.1:9/device1;tcp'),
    );
    await core.next('ACK');
    const answered = await final(core);
    // What the inviter offered holds for him.
    t.is(answered.header('Session-Expires'), '1800;refresher=uac');
    t.is(answered.header('Require'), 'timer');
    inside(core, 'ACK', answered);
    inside(core, 'BYE', answered);
    core.answer(await core.next('BYE'), '200 OK');
    await final(core);
  },
);
