/*
 * Job: options for the sanitizer build. The shim allocates nothing, and a leak check cannot trace an
 * undumpable process.
 */
const char *__asan_default_options(void);

const char *__asan_default_options(void) {
	return "detect_leaks=0:abort_on_error=0:exitcode=66";
}
