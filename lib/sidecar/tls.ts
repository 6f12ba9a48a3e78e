/** MSRP over TLS on one side of the relay (RFC 4975 §14): sockets in and out under its certificate, which may be replaced while it runs. */
import {unwatchFile, watchFile} from 'node:fs';
import {isIP, type Socket} from 'node:net';
import {connect, createServer, type Server, type TLSSocket} from 'node:tls';
import {readCertificate, type Certificate, type CertificateFiles} from '../certificate-files.ts';

export interface SideTlsOptions {
  readonly files: CertificateFiles;
  /** How long a handshake may take. */
  readonly handshakeMilliseconds: number;
  /** How often the files are looked at. */
  readonly watchMilliseconds: number;
  /** A peer's socket, its handshake done. */
  readonly onConnection: (socket: TLSSocket) => void;
  /** What was accepted did not get through its handshake: this or `onConnection` is called once for each. */
  readonly onFailure: (address: string | undefined) => void;
  /** The files have changed: with what is in them from now on, or, for an error, with what was in them before. */
  readonly onReload: (error: unknown) => void;
}

// Older versions are not to be used (RFC 8996).
const minVersion = 'TLSv1.2';

export class SideTls {
  readonly #options: SideTlsOptions;
  /** Does not listen itself: it is handed what was accepted. */
  readonly #server: Server;
  readonly #reload = () => {
    this.reload();
  };
  #certificate: Certificate;

  /** Throws `CPM_CERTIFICATE` (500). */
  constructor(options: SideTlsOptions) {
    this.#options = options;
    this.#certificate = readCertificate(options.files);
    // Whose certificate it is turns out when the session is known; nobody is turned away before.
    this.#server = createServer({
      ...this.#context,
      requestCert: true,
      rejectUnauthorized: false,
      handshakeTimeout: options.handshakeMilliseconds,
    });
    this.#server.on('secureConnection', options.onConnection);
    this.#server.on('tlsClientError', (_, socket) => {
      options.onFailure(socket.remoteAddress);
      socket.destroy();
    });
    for (const file of this.#files) {
      watchFile(file, {interval: options.watchMilliseconds, persistent: false}, this.#reload);
    }
  }

  /** Value of a=fingerprint. */
  get fingerprint(): string {
    return this.#certificate.fingerprint;
  }

  /** Peers without a=fingerprint can prove themselves. */
  get hasAuthority(): boolean {
    return this.#certificate.ca !== undefined;
  }

  /** A peer connected; `onConnection` gets him when his handshake is done. */
  accept(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  /** Connects to an address; `name` is what the certificate of a peer without a=fingerprint has to be made out to. */
  connect({host, port, name}: {readonly host: string; readonly port: number; readonly name: string}): TLSSocket {
    const servername = isIP(name) === 0 ? {servername: name} : {};
    const socket = connect({host, port, ...servername, ...this.#context, rejectUnauthorized: false});
    return socket.setNoDelay(true);
  }

  /** Looks at the files no more. */
  close(): void {
    for (const file of this.#files) unwatchFile(file, this.#reload);
  }

  get #files(): readonly string[] {
    const {certificateFile, keyFile, authorityFile} = this.#options.files;
    return [certificateFile, keyFile, ...(authorityFile === undefined ? [] : [authorityFile])];
  }

  get #context() {
    const {cert, key, ca} = this.#certificate;
    // Without authorities of ours nobody is trusted for his signature, not even those whom the system trusts.
    return {cert, key, ca: ca ?? [], minVersion} as const;
  }

  /** Reads the files anew. One of two may be older than the other for a moment: what was good goes on until both fit. */
  reload(): void {
    try {
      this.#certificate = readCertificate(this.#options.files);
      this.#server.setSecureContext(this.#context);
      this.#options.onReload(undefined);
    } catch (error) {
      this.#options.onReload(error);
    }
  }
}
