export {CpmError} from './errors.ts';
