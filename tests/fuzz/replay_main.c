/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * replay_main.c - run a fuzz target over its corpus without a fuzzer.
 *
 * Why: every input that once broke a target stays a regression test, on any compiler.
 * Usage: fuzz-NAME FILE|DIR...; TAP on stdout.  A crash is seen by the caller as a missing line,
 * therefore the name of the input is printed before it runs.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int n_run;
static unsigned int n_failed;

static void result(int ok, const char *path)
{
	n_run++;
	n_failed += !ok;
	printf("%s %u - %s\n", ok ? "ok" : "not ok", n_run, path);
	fflush(stdout);
}

static void replay_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	/* Exactly as large as the input, so that a sanitizer sees the first byte behind it. */
	uint8_t *data = malloc(size ? size : 1);
	int ok = f && data && fread(data, 1, size, f) == size;

	printf("# run %s\n", path);
	fflush(stdout);
	if (ok)
		LLVMFuzzerTestOneInput(data, size);
	if (f)
		fclose(f);
	free(data);
	result(ok, path);
}

static void replay_path(const char *path);

static void replay_dir(const char *dir)
{
	struct dirent **entry = NULL;
	int n = scandir(dir, &entry, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[4096];

		if (entry[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", dir, entry[i]->d_name);
			replay_path(path);
		}
		free(entry[i]);
	}
	free(entry);
}

static void replay_path(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		printf("# %s: %s\n", path, strerror(errno));
		result(0, path);
	} else if (S_ISDIR(st.st_mode)) {
		replay_dir(path);
	} else if (st.st_size > INPUT_MAX_BYTES) {
		printf("# %s: larger than %u bytes\n", path, INPUT_MAX_BYTES);
		result(0, path);
	} else {
		replay_file(path, (size_t)st.st_size);
	}
}

int main(int argc, char **argv)
{
	const uint8_t none = 0;

	/* The empty input belongs to every corpus and cannot be kept in git by all tools. */
	LLVMFuzzerTestOneInput(&none, 0);
	result(1, "(empty input)");
	for (int i = 1; i < argc; i++)
		replay_path(argv[i]);
	printf("1..%u\n", n_run);
	return n_failed != 0;
}
