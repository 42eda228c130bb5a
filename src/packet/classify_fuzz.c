/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* Rules and a frame: nothing is read outside the frame, and the class is that of a rule that holds
 * as far as one field tells.
 *
 * Input: number of rules, then 12 bytes a rule, then the frame. */

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "packet/classify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RULE_BYTES 12

static void order(uint8_t *a, uint8_t *b)
{
	uint8_t lo = *a < *b ? *a : *b;

	*b = *a < *b ? *b : *a;
	*a = lo;
}

static struct tq_match_rule read_rule(const uint8_t *in, uint16_t i)
{
	struct tq_match_rule r = { .cls = i, .fields = in[0] & 0x7f };
	uint32_t bits;

	if (r.fields & TQ_MATCH_DSCP) {
		r.dscp_lo = in[1] & 63;
		r.dscp_hi = in[2] & 63;
		order(&r.dscp_lo, &r.dscp_hi);
	}
	if (r.fields & TQ_MATCH_PCP)
		r.pcp_lo = r.pcp_hi = in[1] & 7;
	if (r.fields & TQ_MATCH_PROTO) {
		r.proto_lo = in[3];
		r.proto_hi = in[4];
		order(&r.proto_lo, &r.proto_hi);
	}
	if (r.fields & (TQ_MATCH_SRC | TQ_MATCH_DST)) {
		r.ip = in[5] & 1 ? 4 : 6;
		bits = (r.ip == 4 ? 32U : 128U) * (in[5] >> 1) / 127;
		r.src_bits = r.dst_bits = (uint8_t)bits;
		for (uint32_t k = 0; k < bits; k++) {
			r.src[k / 8] |= (uint8_t)(in[6 + k / 8 % 4] & 0x80 >> k % 8);
			r.dst[k / 8] |= (uint8_t)(in[7 + k / 8 % 3] & 0x80 >> k % 8);
		}
	}
	if (r.fields & TQ_MATCH_SPORT) {
		r.sport_lo = in[10];
		r.sport_hi = (uint16_t)(in[10] + (in[11] << 8));
	}
	if (r.fields & TQ_MATCH_DPORT) {
		r.dport_lo = (uint16_t)(in[11] << 8);
		r.dport_hi = UINT16_MAX;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tq_match_rule rule[TQ_RULES_PORT_MAX];
	struct tq_classifier *c;
	struct tq_match_key key;
	uint8_t *frame;
	uint32_t n;
	uint16_t cls;

	if (size < 1)
		return 0;
	n = *data++;
	size--;
	if (size < n * RULE_BYTES + TQ_ETH_HDR_BYTES)
		return 0;
	for (uint32_t i = 0; i < n; i++)
		rule[i] = read_rule(data + i * RULE_BYTES, (uint16_t)i);
	data += n * RULE_BYTES;
	size -= n * RULE_BYTES;
	if (size > TQ_PEEK_BYTES)
		size = TQ_PEEK_BYTES;
	/* Of its exact size: a sanitizer sees every byte read behind it. */
	frame = malloc(size);
	c = malloc(tq_classifier_bytes(rule, n));
	tq_verify(frame && c);
	memcpy(frame, data, size);
	tq_classifier_init(c, rule, n);
	tq_match_key_read(frame, (uint32_t)size, &key);
	cls = tq_classifier_find(c, frame, (uint32_t)size);
	tq_verify(cls == TQ_CLASS_NONE || cls < n);
	if (cls != TQ_CLASS_NONE) {
		const struct tq_match_rule *r = &rule[cls];

		if (r->fields & TQ_MATCH_DSCP)
			tq_verify(key.dscp >= r->dscp_lo && key.dscp <= r->dscp_hi);
		if (r->fields & TQ_MATCH_PROTO)
			tq_verify(key.proto >= r->proto_lo && key.proto <= r->proto_hi);
		if (r->fields & (TQ_MATCH_SRC | TQ_MATCH_DST))
			tq_verify(key.ip == r->ip);
		if (r->fields & TQ_MATCH_DPORT)
			tq_verify(key.has_ports && key.dport >= r->dport_lo);
	} else {
		for (uint32_t i = 0; i < n; i++)
			tq_verify(rule[i].fields != 0); /* a rule without fields always holds */
	}
	free(c);
	free(frame);
	return 0;
}
