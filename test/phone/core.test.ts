import test, {type ExecutionContext} from 'ava';
import {parseMultipart} from '../../lib/codecs/multipart.ts';
import {sipUriOf} from '../../lib/embedded-drachtio/flow.ts';
import {
  createRequest,
  createResponse,
  headerOf,
  headersOf,
  parseSipMessage,
  withoutHeaders,
  type SipRequest,
  type SipResponse,
} from '../../lib/codecs/sip-message.ts';
import {nextHopOf, withoutTopVia} from '../../lib/embedded-drachtio/sip-values.ts';
import {createTransactionLayer} from '../../lib/embedded-drachtio/transactions.ts';
import {createTransport} from '../../lib/embedded-drachtio/transport.ts';
import {Inbox} from '../../lib/phone/inbox.ts';
import {aliceAddress, bobAddress, people} from './people.ts';

/** A Participating Function that takes registrations and lets every request go on along its Route. */
async function proxyingFunction(t: ExecutionContext) {
  const transport = await createTransport({contacts: ['tcp:127.0.0.1:0']});
  const seen = new Inbox<SipRequest>('request at the function');
  const layer = createTransactionLayer(transport, {
    onRequest: (request, transaction) => {
      seen.push(request);
      if (request.method === 'REGISTER') {
        transaction.respond(createResponse(request, 200));
        return;
      }
      const routes = headersOf(request, 'Route').slice(1);
      const others = withoutHeaders(request, 'Route');
      const onward = {...others, headers: [...routes.map((value) => ({name: 'Route', value})), ...others.headers]};
      layer.request(onward, nextHopOf(onward), {
        onResponse: (response) => {
          if (response.status > 100) transaction.respond(withoutTopVia(response), {repeat: false});
        },
      });
    },
  });
  t.teardown(async () => {
    layer.close();
    await transport.close();
  });
  const uri = sipUriOf(transport.localAddress('tcp'));
  const request = (message: SipRequest): Promise<SipResponse> =>
    new Promise((resolve) => {
      layer.request(message, nextHopOf(message), {
        onResponse: (response) => {
          if (response.status >= 200) resolve(response);
        },
      });
    });
  return {uri, seen, request};
}

test('TS 24.229 §5.4.1.7: the third-party REGISTER carries the REGISTER of the phone and its 200', async (t) => {
  const pf = await proxyingFunction(t);
  const {alice, bob, core} = await people(t, {core: {pf: pf.uri}});
  const register = await pf.seen.first();
  t.is(register.uri, pf.uri);
  t.is(headerOf(register, 'To'), `<${aliceAddress}>`);
  t.is(headerOf(register, 'Contact'), `<${core.uri}>`);
  t.is(headerOf(register, 'Expires'), '3600');
  const [request, response] = parseMultipart(register.body, headerOf(register, 'Content-Type') ?? '').map(({body}) =>
    parseSipMessage(body),
  );
  t.is(request?.kind === 'request' && headerOf(request, 'Contact'), alice.userAgent.contact);
  t.is(response?.kind === 'response' && headerOf(response, 'P-Associated-URI'), `<${aliceAddress}>, <tel:+15550101>`);
  t.true(response !== undefined && headerOf(response, 'Contact')?.includes(`pub-gruu="${alice.gruu ?? ''}"`));

  await bob.deregister();
  const gone = await core.told.first(({expires}) => expires === 0);
  t.deepEqual(gone, {identity: bobAddress, expires: 0, status: 200});
});

test('TS 24.229 §5.4.1.7: a third-party REGISTER can come without a body', async (t) => {
  const pf = await proxyingFunction(t);
  const {core} = await people(t, {core: {pf: pf.uri, thirdPartyBody: 'none'}});
  await core.told.atLeast(2);
  t.is((await pf.seen.first()).body.length, 0);
});

test('RFC 5502: a call goes to the function of the called user first, named and with the way back', async (t) => {
  const pf = await proxyingFunction(t);
  const {alice, bob, core} = await people(t, {core: {pf: pf.uri}});
  const chat = await alice.startChat(bobAddress);
  await chat.sendText('through the function');
  t.is((await bob.messages.first()).text, 'through the function');
  const invite = await pf.seen.first(({method}) => method === 'INVITE');
  t.is(headerOf(invite, 'P-Served-User'), `<${bobAddress}>;sescase=term;regstate=reg`);
  t.is(headerOf(invite, 'P-Asserted-Identity'), `<${aliceAddress}>`);
  t.is(headerOf(invite, 'P-Asserted-Service'), 'urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session');
  t.deepEqual(headersOf(invite, 'Route'), [`<${pf.uri};lr>`, `<${core.uri};lr;step=1>`]);
  t.is(await chat.end(), 200);
});

test('TS 24.229 §5.7.3: what the function originates is shown to it once more, then reaches the phone', async (t) => {
  const pf = await proxyingFunction(t);
  const {bob, core} = await people(t, {core: {pf: pf.uri}});
  await core.told.atLeast(2);
  const servingNode = /<(.*)>/.exec(headerOf(await pf.seen.first(), 'Contact') ?? '')?.[1] ?? '';
  const response = await pf.request(
    createRequest('OPTIONS', bobAddress, [
      ['Route', `<${servingNode};lr>`],
      ['Max-Forwards', '70'],
      ['From', '<sip:rcse-standfw@home.example>;tag=1'],
      ['To', `<${bobAddress}>`],
      ['Call-ID', 'own-1'],
      ['CSeq', '1 OPTIONS'],
    ]),
  );
  t.is(response.status, 200);
  t.is(pf.seen.items.filter(({method}) => method === 'OPTIONS').length, 1);
  t.is(bob.requests.items.length, 1);
});
