import type {Clock} from '../ports/clock.ts';
import type {Store} from '../ports/store.ts';
import {openEmbeddedStore} from './embedded-store/embedded-store.ts';

/** Which store, as the configuration says it. */
export interface StoreConfig {
  readonly kind: 'embedded';
  /** The file of the store. */
  readonly path: string;
  /** Largest size of that file, octets; undefined: as large as the disk allows. */
  readonly maxFileBytes?: number;
}

/** Opens the configured store. Rejects as its adapter does (openEmbeddedStore). */
export function openStore(config: StoreConfig, options: {readonly clock?: Clock} = {}): Promise<Store> {
  return openEmbeddedStore({...options, ...config});
}
