/** A certificate and its key from PEM files: read by the relay that shows it, and by the configuration that names them. */
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {CpmError} from './errors.ts';

export interface CertificateFiles {
  /** Ours first, then those that lead to its authority. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** Those who may have signed the certificate of a peer. */
  readonly authorityFile?: string | undefined;
}

/** What the files hold. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer | undefined;
  /** Value of a=fingerprint (RFC 8122 §5). */
  readonly fingerprint: string;
}

/** A file that cannot be used: `CPM_CERTIFICATE` (500). */
export class CertificateError extends CpmError {
  readonly key: keyof CertificateFiles;
  /** What was expected of it, and what it is. */
  readonly why: string;

  constructor(key: keyof CertificateFiles, file: string, why: string) {
    super('CPM_CERTIFICATE', 500, `${file}: ${why}`);
    this.key = key;
    this.why = why;
  }
}

/** Reads the files. Throws a `CertificateError` for the first one that cannot be used. */
export function readCertificate(files: CertificateFiles): Certificate {
  const {certificateFile, keyFile, authorityFile} = files;
  const unusable = (key: keyof CertificateFiles, why: string) => new CertificateError(key, files[key] ?? '', why);
  const read = <Value>(key: keyof CertificateFiles, what: string, parse: (pem: Buffer) => Value) => {
    let pem: Buffer;
    try {
      pem = readFileSync(files[key] ?? '');
    } catch (error) {
      throw unusable(key, `expected ${what} in PEM, ${error instanceof Error ? error.message : String(error)}`);
    }
    try {
      return {pem, value: parse(pem)};
    } catch {
      throw unusable(key, `expected ${what} in PEM, found something else`);
    }
  };
  const cert = read('certificateFile', 'a certificate', (pem) => new X509Certificate(pem));
  const key = read('keyFile', 'a private key without a passphrase', (pem) => createPrivateKey(pem));
  const ca = authorityFile && read('authorityFile', 'a certificate', (pem) => new X509Certificate(pem));
  if (!cert.value.checkPrivateKey(key.value))
    throw unusable('keyFile', `expected the key of ${certificateFile}, found another one in ${keyFile}`);
  return {
    cert: cert.pem,
    key: key.pem,
    ca: ca ? ca.pem : undefined,
    fingerprint: `SHA-256 ${cert.value.fingerprint256}`,
  };
}
