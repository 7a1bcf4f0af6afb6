/*
 * From an OCI runtime spec to a launch plan: what `native/launcher` carries out. See docs/flows/launch-plan.md.
 */
export { buildLaunchPlan } from './launch-plan/build.ts';
export type { CompiledSeccomp, ExecContext, ExecTarget, LaunchContext } from './launch-plan/context.ts';
export { encodeLaunchPlan } from './launch-plan/encode.ts';
export { buildExecPlan } from './launch-plan/exec.ts';
export { errnoText, type LaunchFailure, launchFailureText } from './launch-plan/failure.ts';
export { knownMountOptions } from './launch-plan/mount-options.ts';
export { type LaunchPlan, LISTS, MAX_PLAN_BYTES, SLOT } from './launch-plan/operations.ts';
export { type ResourceWrite, resourceWrites } from './launch-plan/resources.ts';
export { validateProcess, validateSpec } from './launch-plan/validate.ts';
