import {Buffer} from 'node:buffer';
import {defaultFrameLimits} from '../../../lib/codecs/msrp/frame-parser.ts';
import {relayedPair, startFixture, takesAll} from '../../sidecar/relay-fixture.ts';
import {type LiveTarget, promiseAlive} from '../live.ts';
import {promise} from '../target.ts';
import {msrp, read} from './msrp.ts';

/** A relay process between two peers: whatever one of them says, what the other one hears are frames. */
export const relay: LiveTarget = {
  name: 'relay',
  clause: 'RFC 4975 §7.3',
  examples: ['msrp'],
  dictionary: msrp.dictionary,
  async start() {
    const fixture = await startFixture();
    const {pid} = fixture.child.process;
    return {
      async send(input) {
        const [one, two] = await relayedPair(fixture.plane);
        takesAll(two.peer);
        const heard: Buffer[] = [];
        two.peer.socket.on('data', (piece: Buffer) => heard.push(piece));
        // The examples speak to a session of their own; what a mutation has left of its names is made this session's.
        const text = input
          .toString('latin1')
          .replaceAll('msrp://relay.example:2855/s1;tcp', one.leg.path.join(' '))
          .replaceAll('msrp://192.0.2.9:9/peer;tcp', one.uri);
        one.peer.write(text);
        one.peer.socket.end();
        await one.peer.end();
        await Promise.all([one.leg.release(), two.leg.release()]);
        two.peer.destroy();
        const {error} = read([Buffer.concat(heard)], defaultFrameLimits);
        promise(error === undefined, `what is passed on are frames: ${error ?? ''}`);
      },
      async check() {
        promiseAlive(pid, 'the relay');
        const [one, two] = await relayedPair(fixture.plane);
        takesAll(two.peer);
        one.send({id: 'good0001', range: '1-4/4', body: 'good'});
        const {body} = await two.peer.next('SEND');
        promise(body === 'good', 'a good message goes through');
        await one.peer.next('200');
        await Promise.all([one.leg.release(), two.leg.release()]);
        one.peer.destroy();
        two.peer.destroy();
        const {sessions = 0, spoolBytes = 0} = await fixture.plane.status();
        // What was said to a session that ended is the PF's for a moment more.
        promise(
          sessions <= 64 && spoolBytes < 16_000_000,
          `nothing stays of sessions that are over: ${sessions}, ${spoolBytes}`,
        );
      },
      close: async () => fixture.close(),
    };
  },
};
