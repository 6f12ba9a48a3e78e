import type {Config} from './load.ts';

/** What is allowed and yet likely not meant, a sentence each. */
export function warningsOf(config: Config): readonly string[] {
  const warnings: string[] = [];
  const {sip, cpm, served} = config;
  if (sip.drachtio.length === 0)
    warnings.push('sip.drachtio names no server: the embedded one is started, which is for evaluation and tests');
  if (sip.drachtio.length > 0 && sip.homeDomain === 'localhost')
    warnings.push('sip.homeDomain is localhost, which no network uses');
  if (sip.trustedPeers.length === 0)
    warnings.push('sip.trustedPeers is empty: P-Asserted-Identity and P-Served-User are believed from nobody');
  if (!/^sips?:rcse-standfw@/.test(cpm.deferredMsgMgmtUri))
    warnings.push(
      'cpm.deferredMsgMgmtUri has another user part than rcse-standfw, by which phones know deferred messages',
    );
  if ([served.users, served.domains, served.numberPrefixes].every((names) => names.length === 0))
    warnings.push('served names nobody: no user is served');
  return warnings;
}
