import test from 'ava';
import type {SipReply} from '../../../lib/ports/sip.ts';
import {calledBy, callTo, withBench} from './setup.ts';

test.serial(
  '8.3.2.3 B10: the 200 to the BYE of the network waits until the procedure has done its part, and carries its headers',
  withBench(async (t, bench) => {
    const {dialog, peer, send} = await calledBy(bench, await bench.peer());
    let release: ((reply: SipReply) => void) | undefined;
    const came = new Promise<string | undefined>((resolve) => {
      dialog.onBye = (bye, by) => {
        resolve(`${by} ${bye.header('Reason') ?? ''}`);
        return new Promise((answer) => {
          release = answer;
        });
      };
    });
    send('BYE', ['Reason: SIP;cause=480;text="gone"']);
    t.is(await came, 'peer SIP;cause=480;text="gone"');
    t.true(dialog.ended);
    t.is(peer.received.filter(({startLine}) => startLine.startsWith('SIP/2.0 200')).length, 1, 'the INVITE only');
    release?.({headers: {'Conversation-ID': 'c-1'}});
    const ok = await peer.next('SIP/2.0 200');
    t.is(ok.header('CSeq'), '2 BYE');
    t.true(ok.headerLines.includes('Conversation-ID: c-1'));
    t.is(await dialog.bye(), 481);
  }),
);

test.serial(
  'RFC 3261 §15.1.2: a BYE whose procedure does not end is answered after the bound',
  withBench(async (t, bench) => {
    const {dialog, peer, send} = await callTo(bench, await bench.peer());
    dialog.onBye = () => new Promise(() => undefined);
    send('BYE');
    const ok = await peer.next('SIP/2.0 200');
    t.is(ok.header('CSeq'), '1 BYE');
  }),
);

test.serial(
  'RFC 3261 §15.1.2: a BYE whose procedure fails, or throws, is answered all the same',
  withBench(async (t, bench) => {
    const failing = await callTo(bench, await bench.peer());
    failing.dialog.onBye = () => Promise.reject(new Error('the store is away'));
    failing.send('BYE');
    t.is((await failing.peer.next('SIP/2.0 200')).header('CSeq'), '1 BYE');
    const throwing = await callTo(bench, await bench.peer());
    throwing.dialog.onBye = () => {
      throw new Error('our mistake');
    };
    throwing.send('BYE');
    t.is((await throwing.peer.next('SIP/2.0 200')).header('CSeq'), '1 BYE');
  }),
);

test.serial(
  'RFC 3261 §15.1.2: a BYE that comes before anybody listens is told to the first who does',
  withBench(async (t, bench) => {
    const {dialog, peer, send} = await callTo(bench, await bench.peer());
    send('BYE');
    await peer.next('SIP/2.0 200');
    let told = 0;
    const listener = (): Promise<undefined> => {
      told += 1;
      return Promise.resolve(undefined);
    };
    dialog.onBye = listener;
    dialog.onBye = listener;
    t.is(told, 1);
  }),
);

test.serial(
  'RFC 3261 §15.1: our BYE resolves with the status of its answer, and saying it twice sends one',
  withBench(async (t, bench) => {
    const {dialog, peer} = await callTo(bench, await bench.peer());
    const first = dialog.bye({Reason: 'SIP;cause=200'});
    const second = dialog.bye({Reason: 'SIP;cause=503'});
    const bye = await peer.next('BYE');
    t.is(bye.header('Reason'), 'SIP;cause=200');
    peer.answer(bye, '500 Server Internal Error');
    t.deepEqual(await Promise.all([first, second, dialog.bye()]), [500, 500, 500]);
    t.is(peer.received.filter(({startLine}) => startLine.startsWith('BYE')).length, 1);
  }),
);

test.serial(
  'RFC 3261 §15.1: BYEs that cross are both answered, and onBye is not told of the end that we asked for',
  withBench(async (t, bench) => {
    const {dialog, peer, send} = await callTo(bench, await bench.peer());
    let told = 0;
    dialog.onBye = () => {
      told += 1;
      return Promise.resolve(undefined);
    };
    const ending = dialog.bye();
    const ours = await peer.next('BYE');
    send('BYE');
    const ok = await peer.next('SIP/2.0 200');
    t.is(ok.header('CSeq'), '1 BYE');
    peer.answer(ours, '481 Call/Transaction Does Not Exist');
    t.true([200, 481, 408].includes(await ending));
    t.is(told, 0);
  }),
);

test.serial(
  'RFC 3261 §15: a dialog of an earlier life is ended by its recorded id, and an unknown one is a 481',
  withBench(async (t, bench) => {
    const {dialog, peer} = await callTo(bench, await bench.peer());
    const ending = bench.sip.endLeftDialog(dialog, {Reason: 'SIP;cause=503;text="restarted"'});
    const bye = await peer.next('BYE');
    t.is(bye.header('Reason'), 'SIP;cause=503;text="restarted"');
    peer.answer(bye, '200 OK');
    t.is(await ending, 200);
    t.is(await bench.sip.endLeftDialog({id: 'nobody@home.net;from-tag=x', server: 'another'}, {}), 481);
  }),
);
