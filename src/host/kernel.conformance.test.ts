import { closeSync } from 'node:fs';
import { kernelConformance } from './kernel.conformance.ts';
import { createKernel } from './real.ts';
import { createRecorder } from './recorder.ts';

kernelConformance({ name: 'Linux', kernel: createKernel(), close: closeSync });
kernelConformance({ name: 'the recorder', kernel: createRecorder().kernel, close: () => undefined });
