import { unpackConformance } from './unpack.conformance.ts';

unpackConformance('overlay2');
unpackConformance('vfs');
