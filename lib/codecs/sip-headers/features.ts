/** Media feature tags as Contact, Accept-Contact and reginfo carry them (RFC 3840 §9, TS 24.229 §7.2A.8.2). */
import {ICSI_REF, SIP_IM, SIP_INSTANCE, decodeIcsi, encodeIcsi, isService} from '../../cpm/feature-tags.ts';
import {CpmError} from '../../errors.ts';
import {type Params, formatParams} from '../tokens.ts';

/** The raw ICSIs that the feature tag lists: any one of them applies. */
export function icsis(params: Params): readonly string[] {
  const list = params.get(ICSI_REF) ?? '';
  return list
    .split(',')
    .map((value) => decodeIcsi(value.trim()))
    .filter((value) => value !== '');
}

/** Whether the features name a service (raw ICSI) or a special case of it; a more general one than asked for does not count. */
export function hasIcsi(params: Params, icsi: string): boolean {
  return icsis(params).some((service) => isService(service, icsi));
}

/** The device, without quotes, with angle brackets: `<urn:gsma:imei:…>` (RFC 5626 §4.1). Undefined when absent or empty. */
export function sipInstance(params: Params): string | undefined {
  const urn = params.get(SIP_INSTANCE)?.replace(/^<|>$/g, '').trim();
  return urn === undefined || urn === '' ? undefined : `<${urn}>`;
}

/** Whether the features are those of a chat client from before CPM. */
export function hasSipIm(params: Params): boolean {
  return params.has(SIP_IM);
}

/** Features that the PF writes. */
export interface Features {
  /** Raw ICSI. */
  readonly icsi?: string | undefined;
  /** With or without angle brackets. */
  readonly instance?: string | undefined;
  /** A conference focus (RFC 4579 §5.2). */
  readonly isFocus?: boolean;
}

/**
 * Writes features as header parameters: `;isfocus;+g.3gpp.icsi-ref="urn%3A…";+sip.instance="<urn:…>"`.
 *
 * @throws CpmError `CPM_HEADER` (500) when the instance holds what would break the header.
 */
export function formatFeatures({icsi, instance, isFocus}: Features): string {
  if (instance !== undefined && !/^<?[\w:.%+*~$!'()/-]+>?$/.test(instance)) {
    throw new CpmError('CPM_HEADER', 500, 'an instance id is not a URN');
  }
  const params: [string, string | undefined][] = [];
  if (isFocus === true) params.push(['isfocus', undefined]);
  if (icsi !== undefined) params.push([ICSI_REF, encodeIcsi(icsi)]);
  if (instance !== undefined) params.push([SIP_INSTANCE, `<${instance.replace(/^<|>$/g, '')}>`]);
  return formatParams(params);
}
