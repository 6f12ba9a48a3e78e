import type {Clock} from '../ports/clock.ts';
import type {Store} from '../ports/store.ts';
import {openEmbeddedStore} from './embedded-store/embedded-store.ts';
import {openMongoStore} from './mongodb/mongo-store.ts';

/** Which store, as the configuration says it. */
export type StoreConfig =
  | {
      readonly kind: 'embedded';
      /** The file of the store. */
      readonly path: string;
      /** Largest size of that file, octets; undefined: as large as the disk allows. */
      readonly maxFileBytes?: number;
    }
  | {
      readonly kind: 'mongodb';
      /** `mongodb://…` or `mongodb+srv://…`. */
      readonly uri: string;
      readonly database: string;
    };

/**
 * Opens the configured store. An embedded one rejects as `openEmbeddedStore` does; MongoDB is connected in the background, so that the
 * store is there at once and its `available` tells the rest.
 */
export async function openStore(config: StoreConfig, options: {readonly clock?: Clock} = {}): Promise<Store> {
  switch (config.kind) {
    case 'embedded':
      return openEmbeddedStore({...options, ...config});
    case 'mongodb':
      return openMongoStore({...options, ...config});
  }
}
