import type {Clock} from '../ports/clock.ts';
import type {Store} from '../ports/store.ts';
import {openEmbeddedStore} from './embedded-store/embedded-store.ts';

/** Which store, as the configuration says it. */
export type StoreConfig = (
  | {
      readonly kind: 'embedded';
      /** The file of the store. */
      readonly path: string;
    }
  | {
      readonly kind: 'mongodb';
      /** `mongodb://…` or `mongodb+srv://…`. */
      readonly uri: string;
      readonly database: string;
    }
) & {
  /** Longest wait for an answer; then the store counts as away. Unset: as the adapter has it. */
  readonly answerSeconds?: number;
};

/**
 * Opens the configured store; `node` is what the histories of messages call this one. An embedded one rejects as `openEmbeddedStore` does; MongoDB is connected in the background, so that the
 * store is there at once and its `available` tells the rest.
 */
export async function openStore(
  config: StoreConfig,
  options: {readonly clock?: Clock; readonly node?: string} = {},
): Promise<Store> {
  const {answerSeconds} = config;
  const common = {...options, ...(answerSeconds === undefined ? {} : {callMilliseconds: answerSeconds * 1000})};
  switch (config.kind) {
    case 'embedded':
      return openEmbeddedStore({...common, path: config.path});
    case 'mongodb': {
      // The driver is half of what there is to load: who does not use it does not wait for it.
      const {openMongoStore} = await import('./mongodb/mongo-store.ts');
      return openMongoStore({...common, uri: config.uri, database: config.database});
    }
  }
}
