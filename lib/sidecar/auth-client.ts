/**
 * A side of ours whose sessions go through a relay of somebody else's (RFC 4976 §5): each session has a connection of its own to that relay,
 * asks for a path with AUTH before it is offered to anybody, and asks again before its time is over.
 * @clause RFC 4976 §5.1
 */
import {readFileSync} from 'node:fs';
import {CpmError} from '../errors.ts';
import {
  formatAuthorization,
  parseChallenge,
  readAuthenticationInfo,
  type Attempt,
  type Challenge,
  type Credentials,
} from '../codecs/msrp/digest.ts';
import type {FrameHead} from '../codecs/msrp/frame.ts';
import {parseMsrpUri} from '../codecs/msrp/uri.ts';
import type {Connection} from './connection.ts';
import type {Exchange} from './exchange.ts';
import type {Via} from './options.ts';
import type {Session} from './session.ts';

/** Challenges that are answered for one AUTH; a relay that goes on asking does not believe us. */
const mostAttempts = 4;
/** A session is renewed when so much of its time is over. */
const renewalShare = 0.75;
/** Where the relay does not say how long its path holds: what RFC 4976's relays grant at least. */
const unsaidSeconds = 60;

/** How one AUTH ended: the relay's path, nearest first, and for how long; or its status, 0 where none came. */
type Outcome =
  | {readonly usePath: readonly string[]; readonly seconds: number}
  | {readonly usePath?: undefined; readonly status: number; readonly why: string};

export class AuthClient {
  readonly #exchange: Exchange;
  readonly #via: Via;
  readonly #credentials: Credentials;
  /** The nonce that goes with the next AUTH without being asked for, and how often it went. */
  #challenge: Challenge | undefined;
  #count = 0;

  /** Throws `CPM_RELAY_VIA` (500) where the password cannot be had, or the relay is over TLS and nobody vouches for it. */
  constructor(exchange: Exchange, via: Via, {hasAuthority}: {readonly hasAuthority: boolean}) {
    if (/^msrps:/i.test(via.uri) && !hasAuthority) {
      throw unusable(`${via.uri} is over TLS: its side needs tls with an authorityFile`);
    }
    this.#exchange = exchange;
    this.#via = via;
    this.#credentials = {username: via.username, password: passwordOf(via)};
  }

  /** Connects a session to the relay and gets a path for it; `done` is told whether that was to be had. */
  join(session: Session, done: (joined: boolean) => void): void {
    const failed = (status: number, why: string) => {
      this.#tell(session, status, why);
      done(false);
    };
    this.#exchange.connect({uri: this.#via.uri, address: undefined, tls: session.tls}, (connection) => {
      if (connection === undefined) {
        failed(0, 'no connection');
        return;
      }
      if (session.ending) {
        connection.finish();
        done(false);
        return;
      }
      // No description says what a relay of ours has to show: an authority of ours vouches for it (RFC 4976 §5.1).
      if (session.tls !== undefined && connection.origin.proof?.signed !== true) {
        connection.destroy();
        failed(0, 'its certificate is not made out to its name by an authority of ours');
        return;
      }
      session.goThrough(connection);
      this.#authorize(session, connection, (outcome) => {
        if (outcome.usePath === undefined) failed(outcome.status, outcome.why);
        else {
          session.relays = outcome.usePath;
          this.#exchange.counters.authorizations += 1;
          this.#renewLater(session, connection, outcome.seconds);
          done(true);
        }
      });
    });
  }

  /** What the relay takes back, or moves elsewhere, ends with its time: the peer knows the old path only. */
  #renewLater(session: Session, connection: Connection, seconds: number): void {
    const {clock} = this.#exchange;
    const early = seconds * 1000 * renewalShare;
    clock.after(early, () => {
      if (session.ending || session.connection !== connection) return;
      this.#authorize(session, connection, (outcome) => {
        if (session.ending || session.connection !== connection) return;
        if (outcome.usePath === undefined) this.#tell(session, outcome.status, outcome.why);
        else if (outcome.usePath.join(' ') === session.relays.join(' ')) {
          this.#exchange.counters.authorizations += 1;
          this.#renewLater(session, connection, outcome.seconds);
          return;
        }
        clock.after(seconds * 1000 - early, () => {
          if (session.connection !== connection) return;
          this.#exchange.refusals.add('relayExpired', {
            address: connection.origin.address,
            session: session.id,
            leg: session.label,
          });
          session.end('connection-lost');
        });
      });
    });
  }

  #tell(session: Session, status: number, why: string): void {
    const {connection, id, label} = session;
    const more = {relay: this.#via.uri, status, why};
    const what = status === 0 ? 'relayAway' : 'relayRefused';
    this.#exchange.refusals.add(what, {address: connection?.origin.address, session: id, leg: label}, more);
  }

  // ---- one AUTH, with as many requests as it takes ----

  #authorize(session: Session, connection: Connection, done: (outcome: Outcome) => void): void {
    let expires = this.#via.expiresSeconds;
    let attempts = 0;
    let answered: Attempt | undefined;
    /** The challenge came in answer to this AUTH: whoever fails it has the wrong password. */
    let isFresh = false;

    const ask = (): void => {
      attempts += 1;
      answered = this.#nextAttempt();
      const authorization = answered && formatAuthorization(answered);
      const transaction = connection.begin(owner, undefined, this.#exchange.options.connectSeconds * 1000);
      connection.authorize(transaction, {toPath: this.#via.uri, fromPath: session.uri, authorization, expires});
    };
    const onAnswer = (_: undefined, status: number, head: FrameHead | undefined): void => {
      const text = (name: string) => head?.header(name)?.toString('latin1');
      if (status === 200) {
        done(this.#accepted(answered, text));
        return;
      }
      const challenge = status === 401 ? parseChallenge(text('www-authenticate') ?? '') : undefined;
      this.#challenge = challenge;
      this.#count = 0;
      const bound = status === 423 ? boundOf(expires, text) : undefined;
      const isWrong = isFresh && challenge?.stale === false;
      if (attempts >= mostAttempts || isWrong || (challenge === undefined && bound === undefined)) {
        done({status, why: isWrong ? 'the credentials are not right' : `status ${status}`});
        return;
      }
      isFresh = challenge !== undefined;
      expires = bound ?? expires;
      ask();
    };
    const owner = {
      onAnswer,
      onNoAnswer: (_: undefined, why: 'silent' | 'lost') => {
        done({status: 0, why});
      },
    };
    ask();
  }

  #nextAttempt(): Attempt | undefined {
    const challenge = this.#challenge;
    if (challenge === undefined) return undefined;
    this.#count += 1;
    const {random} = this.#exchange;
    return {credentials: this.#credentials, challenge, uri: this.#via.uri, cnonce: random.text(), count: this.#count};
  }

  #accepted(answered: Attempt | undefined, text: (name: string) => string | undefined): Outcome {
    const info = answered && readAuthenticationInfo(text('authentication-info') ?? '', answered);
    if (info?.isProven === false) return {status: 200, why: 'the relay does not know the password'};
    if (info?.nextNonce !== undefined && answered) {
      this.#challenge = {...answered.challenge, nonce: info.nextNonce};
      this.#count = 0;
    }
    const usePath = (text('use-path') ?? '').split(/[ \t]+/).filter((uri) => uri !== '');
    if (usePath.length === 0 || !usePath.every(isMsrpUri)) return {status: 200, why: 'no Use-Path'};
    const seconds = Number(text('expires') ?? unsaidSeconds);
    return {usePath, seconds: seconds > 0 && seconds <= longestSeconds ? seconds : unsaidSeconds};
  }
}

/** Timers take no more. */
const longestSeconds = 7 * 86_400;

/** What a relay that did not like our Expires wants instead (RFC 4976 §9.1). */
function boundOf(expires: number | undefined, text: (name: string) => string | undefined): number | undefined {
  const bound = Number(text('min-expires') ?? text('max-expires') ?? Number.NaN);
  return bound > 0 && bound <= longestSeconds && bound !== expires ? Math.ceil(bound) : undefined;
}

function isMsrpUri(text: string): boolean {
  try {
    return parseMsrpUri(text).host !== '';
  } catch (error) {
    if (error instanceof CpmError) return false;
    throw error;
  }
}

const unusable = (why: string) => new CpmError('CPM_RELAY_VIA', 500, why);

/** The password is in a file or in the environment: never in arguments, which every user of the machine can see. */
function passwordOf({passwordFile, passwordVariable}: Via): string {
  if (passwordFile !== undefined) {
    try {
      return readFileSync(passwordFile, 'utf8').replace(/\r?\n$/, '');
    } catch (error) {
      throw unusable(`${passwordFile} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const password = passwordVariable === undefined ? '' : process.env[passwordVariable];
  if (password === undefined) throw unusable(`the environment has no ${passwordVariable ?? ''}`);
  return password;
}
