import test, {type ExecutionContext} from 'ava';
import type {SipRequestView, Subscription} from '../../../lib/ports/sip.ts';
import type {RawMessage, RawSip} from '../../support/raw-sip.ts';
import {soon, withBench, type Bench} from './setup.ts';

const reginfo = '<reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="0" state="full"/>';

interface Subscribed {
  readonly subscription: Subscription;
  readonly scscf: RawSip;
  readonly notify: (state: string, cseq: number) => void;
}

async function subscribed(t: ExecutionContext, bench: Bench, expires = '600'): Promise<Subscribed> {
  const scscf = await bench.peer({tag: 's1'});
  const request = {
    uri: `sip:bob@${scscf.address}`,
    headers: {To: '<sip:bob@home.net>', From: '<sip:pf@home.net>', Accept: 'application/reginfo+xml'},
    event: 'reg',
    expiresSeconds: 600,
  };
  const subscribing = bench.sip.subscribe(request);
  const subscribe = await scscf.next('SUBSCRIBE');
  t.is(subscribe.header('Event'), 'reg');
  t.is(subscribe.header('Expires'), '600');
  scscf.answer(subscribe, '200 OK', [`Contact: <sip:bob@${scscf.address}>`, `Expires: ${expires}`]);
  return {
    subscription: await subscribing,
    scscf,
    notify: (state, cseq) => {
      sendNotify(bench, scscf, subscribe, state, cseq);
    },
  };
}

function sendNotify(bench: Bench, scscf: RawSip, subscribe: RawMessage, state: string, cseq: number): void {
  scscf.send(
    `NOTIFY sip:${bench.server.sip} SIP/2.0
    Via: SIP/2.0/UDP ${scscf.address};branch=z9hG4bK${subscribe.header('Call-ID')}${cseq};rport
    From: ${subscribe.header('To')};tag=s1
    To: ${subscribe.header('From')}
    Call-ID: ${subscribe.header('Call-ID')}
    CSeq: ${cseq} NOTIFY
    Max-Forwards: 70
    Contact: <sip:bob@${scscf.address}>
    o: reg
    Subscription-State: ${state}
    Content-Type: application/reginfo+xml`,
    reginfo,
  );
}

test.serial(
  'RFC 3680 §5: NOTIFYs come to their subscription and are answered; it ends by SUBSCRIBE with Expires 0, once',
  withBench(async (t, bench) => {
    const {subscription, scscf, notify} = await subscribed(t, bench);
    const ended = soon<string>((resolve) => {
      subscription.onEnd = resolve;
    });
    notify('active;expires=600', 1);
    t.is((await scscf.next('SIP/2.0 200')).header('CSeq'), '1 NOTIFY');
    const first = await soon<SipRequestView>((resolve) => {
      subscription.onNotify = resolve;
    });
    t.is(Buffer.from(first.body).toString(), reginfo, 'kept until somebody listened');
    t.is(first.header('Event'), 'reg');
    const ending = Promise.all([subscription.end(), subscription.end()]);
    const unsubscribe = await scscf.next('SUBSCRIBE');
    t.is(unsubscribe.header('Expires'), '0');
    t.is(unsubscribe.header('Event'), 'reg');
    t.regex(unsubscribe.header('To'), /tag=s1$/);
    scscf.answer(unsubscribe, '200 OK', [`Contact: <sip:bob@${scscf.address}>`, 'Expires: 0']);
    await ending;
    t.is(await ended, 'unsubscribed');
    t.is(bench.connection.srf.findDialogById(dialogId(unsubscribe)), undefined, 'nothing is left of it');
    await subscription.refresh();
    t.is(scscf.received.filter(({startLine}) => startLine.startsWith('SUBSCRIBE')).length, 2);
  }),
);

test.serial(
  'RFC 6665 §4.1.3: a NOTIFY that says terminated ends the subscription, and is handed on before',
  withBench(async (t, bench) => {
    const {subscription, notify} = await subscribed(t, bench);
    const seen: string[] = [];
    subscription.onNotify = (view) => seen.push(view.header('Subscription-State') ?? '');
    const ended = soon<string>((resolve) => {
      subscription.onEnd = resolve;
    });
    notify('active;expires=600', 1);
    notify('terminated;reason=rejected', 2);
    t.is(await ended, 'terminated;reason=rejected');
    t.deepEqual(seen, ['active;expires=600', 'terminated;reason=rejected']);
  }),
);

test.serial(
  'RFC 6665 §4.1.2.2: a refresh asks again for the time; a 481 to it ends the subscription, another refusal does not',
  withBench(async (t, bench) => {
    const {subscription, scscf} = await subscribed(t, bench);
    let ended: string | undefined;
    subscription.onEnd = (why) => {
      ended = why;
    };
    for (const [status, end] of [
      ['200 OK', undefined],
      ['503 Service Unavailable', undefined],
      ['481 Subscription Does Not Exist', 'refused 481'],
    ] as const) {
      const refreshing = subscription.refresh();
      const refresh = await scscf.next('SUBSCRIBE');
      t.is(refresh.header('Expires'), '600');
      scscf.answer(refresh, status, [`Contact: <sip:bob@${scscf.address}>`, 'Expires: 600']);
      await refreshing;
      t.is(ended, end, status);
    }
  }),
);

test.serial(
  'RFC 6665 §4.1.2.2: a subscription is refreshed before its time is over, as often as that comes',
  withBench(async (t, bench) => {
    const {scscf} = await subscribed(t, bench, '2');
    for (const granted of ['2', '2', '600']) {
      const refresh = await scscf.next('SUBSCRIBE');
      t.regex(refresh.header('To'), /tag=s1$/);
      t.is(refresh.header('Expires'), '600');
      scscf.answer(refresh, '200 OK', [`Contact: <sip:bob@${scscf.address}>`, `Expires: ${granted}`]);
    }
  }),
);

test.serial(
  'RFC 6665 §4.1.2.1: a NOTIFY may shorten the time that was granted',
  withBench(async (t, bench) => {
    const {scscf, notify} = await subscribed(t, bench);
    notify('active;expires=2', 1);
    t.is((await scscf.next('SIP/2.0 200')).header('CSeq'), '1 NOTIFY');
    t.regex((await scscf.next('SUBSCRIBE')).header('To'), /tag=s1$/);
  }),
);

for (const status of [
  '408 Request Timeout',
  '481 Subscription Does Not Exist',
  '503 Service Unavailable',
  '500 Server Error',
])
  test.serial(
    `RFC 6665 §4.1.2.2: a refresh in time that is answered ${status} ends the subscription as one that may be had again`,
    withBench(async (t, bench) => {
      const {scscf, subscription} = await subscribed(t, bench, '2');
      const ended = soon<boolean>((resolve) => {
        subscription.onEnd = (_why, lost) => {
          resolve(lost);
        };
      });
      scscf.answer(await scscf.next('SUBSCRIBE'), status, []);
      t.true(await ended);
    }),
  );

test.serial(
  'RFC 6665 §4.1.2.1: a refused SUBSCRIBE rejects with the status',
  withBench(async (t, bench) => {
    const scscf = await bench.peer();
    const subscribing = bench.sip.subscribe({
      uri: `sip:bob@${scscf.address}`,
      headers: {},
      event: 'reg',
      expiresSeconds: 60,
    });
    const subscribe = await scscf.next('SUBSCRIBE');
    scscf.answer(subscribe, '403 Forbidden');
    await t.throwsAsync(subscribing, {code: 'CPM_SIP_SUBSCRIPTION', message: /403/});
    await t.throwsAsync(bench.sip.subscribe({uri: 'tel:+1555', headers: {}, event: 'reg', expiresSeconds: 60}), {
      code: 'CPM_SIP_URI_SCHEME',
    });
  }),
);

test.serial(
  'RFC 6665 §4.1.2.4: a NOTIFY that overtakes the 200 to its SUBSCRIBE is not lost',
  withBench(async (t, bench) => {
    const scscf = await bench.peer({tag: 's1'});
    const subscribing = bench.sip.subscribe({
      uri: `sip:bob@${scscf.address}`,
      headers: {},
      event: 'reg',
      expiresSeconds: 600,
    });
    const subscribe = await scscf.next('SUBSCRIBE');
    sendNotify(bench, scscf, subscribe, 'active;expires=600', 1);
    await scscf.next('SIP/2.0');
    scscf.answer(subscribe, '200 OK', [`Contact: <sip:bob@${scscf.address}>`, 'Expires: 600']);
    const subscription = await subscribing;
    const notify = await soon<SipRequestView>((resolve) => {
      subscription.onNotify = resolve;
    });
    t.is(Buffer.from(notify.body).toString(), reginfo);
  }),
);

function dialogId(request: RawMessage): string {
  return `${request.header('Call-ID')};from-tag=${/tag=(.*)/.exec(request.header('From'))?.[1] ?? ''}`;
}
