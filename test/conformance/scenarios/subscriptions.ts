/** SUBSCRIBE and NOTIFY, in both directions. */
import type {Scenario, Stage} from '../runner.ts';
import type {App, Peer, PeerDialog} from '../actors.ts';

async function subscribed(
  stage: Stage,
  status: string,
): Promise<{app: App; alice: Peer; dialog: PeerDialog; dialogId: string}> {
  const app = await stage.app();
  const alice = await stage.peer('alice');
  const subscribe = alice.request('SUBSCRIBE', {
    headers: {Event: 'reg', Expires: '600', Accept: 'application/reginfo+xml'},
  });
  await app.respond(await app.sip('SUBSCRIBE'), status, ['Expires: 600']);
  const ok = await alice.next('SIP/2.0 2');
  return {
    app,
    alice,
    dialog: alice.dialogOf(subscribe, ok),
    dialogId: `${subscribe.header('Call-ID')};from-tag=t-alice`,
  };
}

async function notify(app: App, alice: Peer, dialogId: string, state: string): Promise<void> {
  const lines = ['Event: reg', `Subscription-State: ${state}`, 'Content-Type: application/reginfo+xml'];
  await app.send('NOTIFY sip:placeholder', lines, '<reginfo/>', {dialogId});
  alice.answer(await alice.next('NOTIFY'), '200 OK');
  await app.sip('SIP/2.0 200');
}

async function subscribes(stage: Stage): Promise<{app: App; bob: Peer; dialog: PeerDialog; dialogId: string}> {
  const app = await stage.app();
  const bob = await stage.peer('bob');
  await app.send(`SUBSCRIBE ${bob.contact.slice(1, -1)}`, ['Event: reg', 'Expires: 600']);
  const subscribe = await bob.next('SUBSCRIBE');
  bob.answer(subscribe, '200 OK', ['Expires: 600', `Contact: ${bob.contact}`]);
  const {dialogId} = await app.sip('SIP/2.0 200');
  return {app, bob, dialog: bob.calledDialog(subscribe), dialogId};
}

const active = {Event: 'reg', 'Subscription-State': 'active;expires=600', 'Content-Type': 'application/reginfo+xml'};

export const subscriptionScenarios: readonly Scenario[] = [
  {
    name: 'subscribe-in-202',
    title: 'RFC 6665 §4.2: a subscription accepted with 202, notified, refreshed and ended by the subscriber',
    async play(stage) {
      const {app, alice, dialog, dialogId} = await subscribed(stage, '202 Accepted');
      await notify(app, alice, dialogId, 'active;expires=600');
      alice.within(dialog, 'SUBSCRIBE', {Event: 'reg', Expires: '600'});
      await app.respond(await app.sip('SUBSCRIBE'), '200 OK', ['Expires: 600']);
      await alice.next('SIP/2.0 200');
      alice.within(dialog, 'SUBSCRIBE', {Event: 'reg', Expires: '0'});
      await app.respond(await app.sip('SUBSCRIBE'), '200 OK', ['Expires: 0']);
      await alice.next('SIP/2.0 200');
      await notify(app, alice, dialogId, 'terminated;reason=timeout');
      await app.send('NOTIFY sip:placeholder', ['Event: reg'], '', {dialogId});
    },
  },
  {
    name: 'subscribe-in-200',
    title: 'RFC 6665 §4.2: a subscription accepted with 200',
    async play(stage) {
      const {app, alice, dialogId} = await subscribed(stage, '200 OK');
      await notify(app, alice, dialogId, 'active;expires=600');
      await notify(app, alice, dialogId, 'terminated;reason=noresource');
    },
  },
  {
    name: 'subscribe-refused',
    title: 'RFC 6665 §4.2: a subscription that is refused',
    async play(stage) {
      const app = await stage.app();
      const alice = await stage.peer('alice');
      alice.request('SUBSCRIBE', {headers: {Event: 'dance'}});
      await app.respond(await app.sip('SUBSCRIBE'), '489 Bad Event', ['Allow-Events: reg']);
      await alice.next('SIP/2.0 489');
    },
  },
  {
    name: 'notify-refused',
    title: 'RFC 6665 §4.2.2: a NOTIFY that the subscriber refuses with 481',
    async play(stage) {
      const {app, alice, dialogId} = await subscribed(stage, '200 OK');
      await app.send('NOTIFY sip:placeholder', ['Event: reg', 'Subscription-State: active;expires=600'], '', {
        dialogId,
      });
      alice.answer(await alice.next('NOTIFY'), '481 Subscription Does Not Exist');
      await app.sip('SIP/2.0 481');
      await app.send('NOTIFY sip:placeholder', ['Event: reg', 'Subscription-State: active;expires=600'], '', {
        dialogId,
      });
    },
  },
  {
    name: 'subscribe-out',
    title: 'RFC 6665 §4.1: a subscription of the application: notified, refreshed, and ended by it',
    async play(stage) {
      const {app, bob, dialog, dialogId} = await subscribes(stage);
      bob.within(dialog, 'NOTIFY', active, '<reginfo/>');
      await app.respond(await app.sip('NOTIFY'), '200 OK');
      await bob.next('SIP/2.0 200');
      for (const expires of ['600', '0']) {
        await app.send('SUBSCRIBE sip:placeholder', ['Event: reg', `Expires: ${expires}`], '', {dialogId});
        bob.answer(await bob.next('SUBSCRIBE'), '200 OK', [`Expires: ${expires}`, `Contact: ${bob.contact}`]);
        await app.sip('SIP/2.0 200');
      }
    },
  },
  {
    name: 'subscribe-out-terminated',
    title: 'drachtio: the NOTIFY that ends a subscription of the application is handed on',
    async play(stage) {
      const {app, bob, dialog} = await subscribes(stage);
      bob.within(dialog, 'NOTIFY', {...active, 'Subscription-State': 'terminated;reason=noresource'}, '<reginfo/>');
      const handed = await app.sip('NOTIFY');
      await bob.next('SIP/2.0 500');
      await app.respond(handed, '200 OK');
    },
  },
  {
    name: 'subscribe-out-early-notify',
    title: 'RFC 6665 §4.1.2.4: a NOTIFY that is faster than the 200 to its SUBSCRIBE',
    async play(stage) {
      const app = await stage.app();
      const bob = await stage.peer('bob');
      await app.send(`SUBSCRIBE ${bob.contact.slice(1, -1)}`, ['Event: reg', 'Expires: 600']);
      const subscribe = await bob.next('SUBSCRIBE');
      const dialog = bob.calledDialog(subscribe);
      bob.within(dialog, 'NOTIFY', active, '<reginfo/>');
      const handed = await app.sip('NOTIFY');
      await app.respond(handed, '200 OK');
      await bob.next('SIP/2.0 500');
      bob.answer(subscribe, '200 OK', ['Expires: 600', `Contact: ${bob.contact}`]);
      await app.sip('SIP/2.0 200');
    },
  },
  {
    name: 'subscribe-out-refused',
    title: 'RFC 6665 §4.1.2.1: a subscription of the application that is refused',
    async play(stage) {
      const app = await stage.app();
      const bob = await stage.peer('bob');
      await app.send(`SUBSCRIBE ${bob.contact.slice(1, -1)}`, ['Event: reg', 'Expires: 600']);
      bob.answer(await bob.next('SUBSCRIBE'), '403 Forbidden');
      await app.sip('SIP/2.0 403');
    },
  },
  {
    name: 'notify-unsolicited',
    title: 'RFC 6665: a NOTIFY that belongs to nothing is handed on as a new request',
    async play(stage) {
      const app = await stage.app();
      const alice = await stage.peer('alice');
      alice.request('NOTIFY', {headers: active, body: '<reginfo/>'});
      await app.respond(await app.sip('NOTIFY'), '481 Subscription Does Not Exist');
      await alice.next('SIP/2.0 481');
    },
  },
  {
    name: 'notify-out-of-dialog',
    title: 'drachtio: a NOTIFY of the application outside of any dialog has no Contact',
    async play(stage) {
      const app = await stage.app();
      const bob = await stage.peer('bob');
      await app.send(`NOTIFY ${bob.contact.slice(1, -1)}`, ['Event: keep-alive', 'Subscription-State: active']);
      bob.answer(await bob.next('NOTIFY'), '200 OK');
      await app.sip('SIP/2.0 200');
    },
  },
];
