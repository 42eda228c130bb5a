/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include "base/assert.h"
#include "base/frame.h"

static const char *const drop_names[TQ_DROP_N] = {
	"none",
#define TQ_DROP_DEF(sym, name, doc) #name,
#include "base/drops.def"
#undef TQ_DROP_DEF
};

static const char *const drop_docs[TQ_DROP_N] = {
	"not dropped",
#define TQ_DROP_DEF(sym, name, doc) doc,
#include "base/drops.def"
#undef TQ_DROP_DEF
};

const char *tq_drop_name(enum tq_drop_reason reason)
{
	tq_verify((unsigned)reason < TQ_DROP_N);
	return drop_names[reason];
}

const char *tq_drop_doc(enum tq_drop_reason reason)
{
	tq_verify((unsigned)reason < TQ_DROP_N);
	return drop_docs[reason];
}
