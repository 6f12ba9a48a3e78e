import type {ExecutionContext} from 'ava';
import type {Store} from '../../lib/ports/store.ts';

/** A fresh, empty store for one test, and a way to let its time pass. */
export interface StoreUnderTest {
  readonly store: Store;
  letPass(milliseconds: number): Promise<void>;
  /** The same store in its next life. */
  restart(): Promise<Store>;
}

/** Opens one, and closes it when the test is over. */
export type OpenStore = (t: ExecutionContext) => Promise<StoreUnderTest>;
