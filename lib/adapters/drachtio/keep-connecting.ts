import {readFileSync} from 'node:fs';
import {connect as connectTcp} from 'node:net';
import {connect as connectTls, type ConnectionOptions} from 'node:tls';
import {CpmError} from '../../errors.ts';
import type {Clock, Timer} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {SrfWire} from './srf-types.ts';

const firstPause = 250;
const growth = 1.7;
/** A server that comes back is met within this time. */
const longestPause = 5000;

/** Where a drachtio server listens for applications. */
export interface DrachtioAddress {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  /** Its admin port is one for TLS. */
  readonly tls?: DrachtioTls | undefined;
}

export interface DrachtioTls {
  /** PEM of who may have signed its certificate; the system's authorities otherwise. */
  readonly authorityFile?: string | undefined;
  /** The name in its certificate, where that is not the host. */
  readonly serverName?: string | undefined;
}

/**
 * How a TLS connection is made; undefined for a server without. The file is read anew each time: another authority counts from the next
 * connection on.
 * @throws CpmError `CPM_SIP_TLS` (500) when it cannot be read.
 */
export function tlsOptions({tls}: DrachtioAddress): ConnectionOptions | undefined {
  if (tls === undefined) return undefined;
  const {authorityFile, serverName} = tls;
  try {
    return {
      ...(authorityFile === undefined ? {} : {ca: readFileSync(authorityFile)}),
      ...(serverName === undefined ? {} : {servername: serverName}),
    };
  } catch (error) {
    throw new CpmError(
      'CPM_SIP_TLS',
      500,
      `the file of a SIP server's authority cannot be read: ${authorityFile ?? ''}`,
      {
        cause: error,
      },
    );
  }
}

/** Connecting again, as often as it takes. */
export interface Reconnection {
  /** The server knows us: the next pause is a short one again. */
  readonly succeeded: () => void;
  /** The server does not want us, which does not mend itself: the next pause is the longest. */
  readonly refused: () => void;
  readonly stop: () => void;
}

/** Takes the making of the next connections from drachtio-srf, which makes them without TLS (5.0.29), whatever the first one had. */
export function keepConnecting(
  wp: SrfWire,
  address: DrachtioAddress,
  {clock, log}: {clock: Clock; log: Log},
): Reconnection {
  const {host, port} = address;
  let pause = firstPause;
  let timer: Timer | undefined;
  let stopped = false;

  function open(): void {
    timer = undefined;
    let options: ConnectionOptions | undefined;
    try {
      options = tlsOptions(address);
    } catch (error) {
      log.error({error, server: `${host}:${port}`}, 'no connection to the SIP server can be made');
      again();
      return;
    }

    const socket = options === undefined ? connectTcp(port, host) : connectTls(port, host, options);
    socket.setNoDelay(true).setKeepAlive(true);
    wp.installListeners(socket);
  }

  // An error and the close behind it are one loss.
  function again(): void {
    if (stopped || timer !== undefined) return;
    timer = clock.after(pause, open);
    pause = Math.min(longestPause, pause * growth);
  }

  wp._onConnectionGone = again;
  return {
    succeeded() {
      pause = firstPause;
    },
    refused() {
      pause = longestPause;
    },
    stop() {
      stopped = true;
      timer?.cancel();
    },
  };
}
