/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* rpc_line_fuzz.c - whatever a client sends is answered by one line, or by none when it was a
 * notification. The first byte chooses the caller's rights and whether control refuses; the rest
 * are lines. */

#include <jansson.h>
#include <stdint.h>
#include <unistd.h>

#include "base/log.h"
#include "rpc/call.h"
#include "rpc/control_fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned int answers;

static void got(void *arg TQ_UNUSED, const char *line, size_t n)
{
	json_t *o;

	answers++;
	if (!line)
		return;
	tq_verify(!memchr(line, '\n', n));
	o = json_loadb(line, n, 0, NULL);
	tq_verify(json_is_object(o) && json_object_get(o, "id"));
	tq_verify(!json_object_get(o, "result") != !json_object_get(o, "error"));
	json_decref(o);
}

/* A method that writes or reads files by name is none of the fuzzer's business. */
static bool touches_files(const char *line, size_t n)
{
	return memmem(line, n, "save", 4) || memmem(line, n, "file", 4) ||
	       memmem(line, n, "\\u", 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data + 1, *end = (const char *)data + size;
	struct tq_rpc_peer peer = { .uid = 1 };
	struct tq_control control;
	struct tq_rpc_env env;

	if (!size)
		return 0;
	tq_log_set_level(NULL, TQ_LOG_ERROR);
	peer.may_change = data[0] & 1;
	fake_init(&control);
	tq_rpc_env_init(&env, &control);
	while (at < end) {
		const char *eol = memchr(at, '\n', (size_t)(end - at));
		size_t n = (size_t)((eol ? eol : end) - at);
		uint64_t revision = control.revision;
		unsigned int before = answers;

		control.apply_error = data[0] & 2 ? -EBUSY : 0;
		if (!touches_files(at, n)) {
			tq_rpc_line(&env, &peer, at, n, got, NULL);
			fake_settle(&control);
			tq_verify(answers == before + 1);
		}
		tq_verify(peer.may_change || control.revision == revision);
		tq_verify(LIST_EMPTY(&env.calls));
		at += n + 1;
	}
	tq_rpc_env_done(&env);
	fake_done(&control);
	return 0;
}
