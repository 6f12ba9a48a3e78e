import test from 'ava';
import {MsrpPeer, type RawFrame} from '../support/msrp-peer.ts';
import {boundLeg, startFixture, type Fixture} from './relay-fixture.ts';

let fixture: Fixture;
test.before(async () => {
  fixture = await startFixture();
});
test.after.always(async () => {
  await fixture.close();
});

const firstLine = (frame: RawFrame) => frame.raw.split('\r\n')[0];

test('RFC 4975 §10.2: 400 for a SEND that lacks what it must have; the connection stays', async (t) => {
  const {leg, peer, uri} = await boundLeg(fixture.plane);
  peer.write(
    `MSRP bad00001 SEND\r\nTo-Path: ${leg.uri}\r\nFrom-Path: ${uri}\r\nByte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nhi\r\n-------bad00001$\r\n`,
  );
  t.is(
    (await peer.next()).raw,
    `MSRP bad00001 400 Bad Request\r\nTo-Path: ${uri}\r\nFrom-Path: ${leg.uri}\r\n-------bad00001$\r\n`,
  );
  peer.write(
    `MSRP bad00002 SEND\r\nTo-Path: ${leg.uri}\r\nFrom-Path: ${uri}\r\nMessage-ID: 1\r\nByte-Range: 1-2/2\r\n\r\nhi\r\n-------bad00002$\r\n`,
  );
  t.is(firstLine(await peer.next()), 'MSRP bad00002 400 Bad Request');
  peer.write(`MSRP good0001 SEND\r\nTo-Path: ${leg.uri}\r\nFrom-Path: ${uri}\r\nMessage-ID: 1\r\n-------good0001$\r\n`);
  t.is(firstLine(await peer.next()), 'MSRP good0001 200 OK');
});

test('RFC 4975 §10.5: 413 for a message beyond the bound, as soon as it is known, and for all that still comes of it', async (t) => {
  const {send, peer, offered} = await boundLeg(fixture.plane, {maxMessageBytes: 10});
  send({id: 'larg0001', message: 'a', range: '1-5/11', body: 'hello', flag: '+'});
  t.is(firstLine(await peer.next()), 'MSRP larg0001 413 Message Too Large');
  send({id: 'larg0002', message: 'a', range: '6-11/11', body: ' world'});
  t.is(firstLine(await peer.next()), 'MSRP larg0002 413 Message Too Large');
  send({id: 'larg0003', message: 'b', range: '1-*/*', body: 'hello world'});
  t.is(firstLine(await peer.next()), 'MSRP larg0003 413 Message Too Large');
  send({id: 'larg0004', message: 'c', range: '9-*/*', body: 'hel'});
  t.is(firstLine(await peer.next()), 'MSRP larg0004 413 Message Too Large');
  send({id: 'fits0001', message: 'd', range: '1-10/10', body: '0123456789'});
  t.is(firstLine(await peer.next()), 'MSRP fits0001 200 OK');
  t.is(offered.length, 1);
});

test('RFC 4975 §10.7: 481 for a session that is not there, and for a path of several URIs', async (t) => {
  const {leg, peer, uri} = await boundLeg(fixture.plane);
  const sendTo = (id: string, to: string) =>
    `MSRP ${id} SEND\r\nTo-Path: ${to}\r\nFrom-Path: ${uri}\r\nMessage-ID: 1\r\nByte-Range: 1-2/2\r\nContent-Type: text/plain\r\n\r\nhi\r\n-------${id}$\r\n`;
  peer.write(sendTo('miss0001', 'msrp://127.0.0.1:1/nobody;tcp'));
  t.is(firstLine(await peer.next()), 'MSRP miss0001 481 Session Does Not Exist');
  peer.write(sendTo('miss0002', `msrp://127.0.0.1:1/relay;tcp ${leg.uri}`));
  t.is(firstLine(await peer.next()), 'MSRP miss0002 481 Session Does Not Exist');
  peer.write(sendTo('case0001', leg.uri.toUpperCase().replace('MSRP', 'msrp').replace('TCP', 'tcp')));
  t.is(firstLine(await peer.next()), 'MSRP case0001 481 Session Does Not Exist');
});

test('RFC 4975 §10.8: 501 for a method that is not known', async (t) => {
  const {leg, peer, uri} = await boundLeg(fixture.plane);
  peer.write(
    `MSRP nick0001 NICKNAME\r\nTo-Path: ${leg.uri}\r\nFrom-Path: ${uri}\r\nUse-Nickname: "Al"\r\n-------nick0001$\r\n`,
  );
  t.is(
    (await peer.next()).raw,
    `MSRP nick0001 501 Not Implemented\r\nTo-Path: ${uri}\r\nFrom-Path: ${leg.uri}\r\n-------nick0001$\r\n`,
  );
});

test('RFC 4975 §10.9: 506 for a bound session on another connection; the first one stays bound', async (t) => {
  const {leg, peer, uri, send} = await boundLeg(fixture.plane);
  const second = await MsrpPeer.to(leg.uri);
  second.write(
    `MSRP othe0001 SEND\r\nTo-Path: ${leg.uri}\r\nFrom-Path: ${uri}\r\nMessage-ID: 1\r\n-------othe0001$\r\n`,
  );
  t.is(firstLine(await second.next()), 'MSRP othe0001 506 Session Bound Elsewhere');
  send({id: 'firs0001', range: '1-2/2', body: 'hi'});
  t.is(firstLine(await peer.next()), 'MSRP firs0001 200 OK');
  second.destroy();
});

test('RFC 4975 §9: what is no MSRP ends the connection and its sessions, and nothing else', async (t) => {
  const {peer, ends} = await boundLeg(fixture.plane);
  const other = await boundLeg(fixture.plane);
  peer.write('GET / HTTP/1.1\r\n\r\n');
  await peer.end();
  other.send({id: 'othe0001', range: '1-2/2', body: 'hi'});
  t.is(firstLine(await other.peer.next()), 'MSRP othe0001 200 OK');
  t.deepEqual(ends, ['protocol-error']);
});
