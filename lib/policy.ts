import {BlockList, isIP} from 'node:net';
import {canonicalAddress} from './cpm/address.ts';
import type {Config} from './config/load.ts';
import {addressMatcher} from './hooks/address-pattern.ts';
import type {Policy} from './procedures/context.ts';
import {finishMilliseconds} from './procedures/storage/record-session.ts';
import type {ServedRules} from './procedures/registration/served-users.ts';

/** What a configuration means to the procedures; seconds become milliseconds here, and nowhere else. */
export function policyOf({node, sip, cpm, relay, overload}: Config): Policy {
  return {
    node: node.name,
    homeDomain: sip.homeDomain,
    deferredMsgMgmtUri: cpm.deferredMsgMgmtUri,
    groupData: cpm.groupData,
    groupStateDialect: cpm.groupStateDialect,
    conferenceFactory: cpm.conferenceFactory,
    originatingSessions: cpm.originatingSessions,
    terminatingSessions: cpm.terminatingSessions,
    outboundProxy: sip.outboundProxy,
    trusts: trustOf(sip.trustedPeers),
    originatingMarker: sip.directionMarkers.originating,
    terminatingMarker: sip.directionMarkers.terminating,
    inviteMilliseconds: sip.inviteSeconds * 1000,
    messageMilliseconds: sip.messageSeconds * 1000,
    byeAnswer: sip.byeAnswerSeconds * 1000,
    byeWait: Math.max(500, sip.byeAnswerSeconds * 1000 - finishMilliseconds - 500),
    bindMilliseconds: relay.bindSeconds * 1000,
    refusals: cpm.refusalPolicy,
    stopsDelivery: cpm.deferStopsDelivery,
    failsNotAdmitted: cpm.notAdmitted === 'fail',
    retry: {
      pauses: cpm.deliveryRetrySeconds.map((seconds) => seconds * 1000),
      jitter: cpm.deliveryRetryJitter,
      attempts: cpm.deliveryRetries,
      age: cpm.deliveryRetryAgeSeconds * 1000,
      longestRetryAfter: cpm.longestRetryAfterSeconds * 1000,
    },
    deferredRetention: cpm.deferredRetentionSeconds * 1000,
    sentReoffer: cpm.sentReofferSeconds * 1000,
    settledRetention: cpm.settledRetentionSeconds * 1000,
    recordedRetention: cpm.recordedRetentionSeconds === 0 ? undefined : cpm.recordedRetentionSeconds * 1000,
    records: addressMatcher(cpm.recording),
    maxMessageBytes: cpm.maxMessageBytes,
    notifiesInSession: cpm.notificationTransport === 'session',
    maxPagerMessageBytes: cpm.maxPagerMessageBytes,
    notificationWait: cpm.notificationWaitSeconds * 1000,
    concurrentDeliveries: cpm.concurrentDeliveries,
    trustsImdn: cpm.imdnUnknown === 'trust',
    withoutImdn: cpm.userAgentsWithoutImdn.map((pattern) => new RegExp(pattern, 'i')),
    deliveryProfiles: cpm.deliveryProfiles.map(({userAgent, ...profile}) => ({
      userAgent: new RegExp(userAgent, 'i'),
      ...profile,
    })),
    sessionExpiresSeconds: sip.sessionExpiresSeconds,
    retryAfterSeconds: sip.retryAfterSeconds,
    limits: {
      sessions: overload.sessions,
      pendingPerUser: overload.pendingMessages,
      eventLoopDelay: overload.eventLoopDelayMilliseconds,
    },
    expirySweep: cpm.expirySweepSeconds * 1000,
    regEvent: sip.regEvent,
  };
}

/** Who is served, as the configuration says it. */
export function servedRulesOf({served}: Config): ServedRules {
  const own = new Map<string, (typeof served.users)[number]['policy']>();
  for (const {identities, policy} of served.users) {
    const key = canonicalAddress(identities[0] ?? '');
    if (key !== undefined) own.set(key, policy);
  }

  return {
    deferralOf: (servedUser) => own.get(servedUser)?.deferral ?? served.policy.deferral,
    allowsOfflineStorage: (servedUser) => own.get(servedUser)?.allowOfflineStorage ?? served.policy.allowOfflineStorage,
    users: served.users.map(({identities}) => identities),
    domains: served.domains,
    numberPrefixes: served.numberPrefixes,
  };
}

/** Addresses and ranges whose word is taken for the network's. */
export function trustOf(ranges: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }

  return (address) => isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}
