/* `gantry-shim launch`: see docs/flows/launch-plan.md. */
#pragma once

int launch_main(int argc, char **argv);
