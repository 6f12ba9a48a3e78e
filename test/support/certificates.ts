import {execFileSync} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import path from 'node:path';

/** A certificate made for one test, and its key. */
export interface TestCertificate {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
  /** Value of a=fingerprint. */
  readonly fingerprint: string;
}

/** Makes a certificate with openssl, good for a day: signed by `authority`, or by itself. A second one of the same name replaces the first. */
export function certificate(folder: string, name: string, authority?: TestCertificate): TestCertificate {
  const certificateFile = path.join(folder, `${name}.pem`);
  const keyFile = path.join(folder, `${name}-key.pem`);
  openssl([
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'],
    ...['-subj', `/CN=${name}`, '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'],
    ...(authority === undefined ? [] : ['-CA', authority.certificateFile, '-CAkey', authority.keyFile]),
    ...['-keyout', keyFile, '-out', certificateFile],
  ]);
  const cert = readFileSync(certificateFile, 'utf8');
  const fingerprint = `SHA-256 ${new X509Certificate(cert).fingerprint256}`;
  return {certificateFile, keyFile, cert, key: readFileSync(keyFile, 'utf8'), fingerprint};
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', args, {stdio: 'pipe'});
}
