/* The `overlay` command. */
#pragma once

int overlay_main(const char *directory, const char *options);
