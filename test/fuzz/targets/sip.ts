import {randomUUID} from 'node:crypto';
import {createSocket} from 'node:dgram';
import {once} from 'node:events';
import {connect} from 'node:net';
import {deployment} from '../../support/deployment.ts';
import {rawSip} from '../../support/raw-sip.ts';
import {addressOf} from '../../support/registrar-peer.ts';
import {type LiveTarget, promiseAlive} from '../live.ts';
import {promise, randomOf} from '../target.ts';
import {sipMessage} from './sip-message.ts';

/** A PF with its SIP server and its relay, from outside: SIP over UDP and TCP. */
export const sip: LiveTarget = {
  name: 'sip',
  clause: 'RFC 3261 §18.3',
  examples: ['sip', 'sip-message'],
  dictionary: [
    ...sipMessage.dictionary,
    'P-Served-User: ',
    'Accept-Contact: ',
    'Reason: ',
    'Session-Expires: ',
    'multipart/mixed;boundary=b',
    'application/sdp',
  ],
  async start() {
    const teardowns: (() => Promise<void>)[] = [];
    const pf = await deployment({
      passed: true,
      log: () => undefined,
      teardown: (work) => void teardowns.push(work),
    });
    const address = addressOf(pf);
    const [host = '', port = ''] = address.split(':');
    // A real drachtio server is nobody's child.
    const names = process.env['DRACHTIO_HOST'] === undefined ? ['sip-server', 'relay'] : ['relay'];
    const pids = await Promise.all(names.map(async (name) => pf.pidOf(name)));
    const datagrams = createSocket('udp4');
    datagrams.bind(0, '127.0.0.1');
    await once(datagrams, 'listening');
    let users = 77;

    /** A chat of two who are not in the examples, since those may have been registered, or not, by what was sent. */
    async function goodSession(): Promise<void> {
      users += 2;
      const [from, to] = [users, users + 1].map(
        (user) => `sip:+1555${String(user).padStart(6, '0')}@home.example;user=phone`,
      );
      const [alice, bob] = [await pf.alice({address: from ?? ''}), await pf.bob({address: to ?? ''})];
      await alice.register();
      const chat = await alice.startChat(to ?? '');
      promise((await chat.sendText('good')).accepted, 'a good message is accepted');
      await chat.end();
      await bob.register();
      const {text} = await bob.messages.first();
      promise(text === 'good', 'a good message is delivered');
      await Promise.all([alice.close(), bob.close()]);
    }

    return {
      async send(input) {
        if (randomOf(input).below(2) === 0) {
          await new Promise((resolve) => {
            datagrams.send(input, Number(port), host, resolve);
          });
          return;
        }
        const socket = connect(Number(port), host);
        socket.on('error', () => undefined);
        socket.resume();
        const closed = once(socket, 'close').catch(() => undefined);
        socket.end(input);
        await closed;
      },
      async check() {
        for (const transport of ['udp', 'tcp'] as const) {
          const peer = await rawSip({server: address, transport});
          const id = randomUUID();
          peer.send(`OPTIONS sip:home.example SIP/2.0
            Via: SIP/2.0/${transport.toUpperCase()} ${peer.address};branch=z9hG4bK${id}
            Max-Forwards: 70
            From: <sip:x@home.example>;tag=1
            To: <sip:home.example>
            Call-ID: ${id}
            CSeq: 1 OPTIONS`);
          const answer = await peer.next('SIP/2.0');
          promise(answer.header('Call-ID') === id, 'a good request is answered');
          await peer.close();
        }
        await goodSession();
        promiseAlive(pf.pf.process.exitCode === null ? pf.pf.process.pid : undefined, 'the PF');
        for (const [index, name] of names.entries()) {
          promiseAlive(pids[index], name);
          promise((await pf.pidOf(name)) === pids[index], `${name} was not started again`);
        }
      },
      async close() {
        datagrams.close();
        for (const work of teardowns.reverse()) await work();
      },
    };
  },
};
