import { snapshotterConformance } from './snapshotter.conformance.ts';

snapshotterConformance('overlay2');
snapshotterConformance('vfs');
