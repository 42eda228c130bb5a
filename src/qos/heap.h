/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

/* heap.h - pairing heap of hooks that lie inside the caller's structures.
 *
 * Why:     every node of the tree orders its own children, and nobody knows beforehand how many
 *          they will be: an array per node would have to grow in a worker.  Hooks live in the
 *          children, a heap is one index. Not for more than one heap per hook.
 * Source:  Fredman, Sedgewick, Sleator, Tarjan 1986: insert O(1), remove O(log n) amortised.
 * Thread:  the worker that owns the hooks.
 * Units:   keys are compared by signed difference, so that they may wrap; lower rank goes first.
 * Memory:  24 bytes a hook; members of one heap are hooks `stride` bytes apart, named by index.
 * Error:   cannot fail; removing what is not in the heap is undefined.
 */
#ifndef TQ_QOS_HEAP_H
#define TQ_QOS_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/compiler.h"

#define TQ_HEAP_NONE UINT32_MAX

struct tq_hook {
	uint64_t key;
	uint32_t rank;
	uint32_t child; /* first child */
	uint32_t next;  /* sibling */
	uint32_t prev;  /* sibling before, the parent for a first child, NONE for the root */
};

/* The hooks that one heap may hold: hook i lies at base + i * stride. */
struct tq_hooks {
	char *base;
	size_t stride;
};

TQ_INLINE struct tq_hook *tq_heap_at(struct tq_hooks h, uint32_t i)
{
	return (struct tq_hook *)(void *)(h.base + i * h.stride);
}

TQ_INLINE bool tq_heap_before(const struct tq_hook *a, const struct tq_hook *b)
{
	if (TQ_UNLIKELY(a->rank != b->rank))
		return a->rank < b->rank;
	return (int64_t)(a->key - b->key) < 0;
}

/* Join two roots (next and prev of both are free); on equal keys a stays first. Returns the
 * root. */
TQ_INLINE uint32_t tq_heap_meld(struct tq_hooks h, uint32_t a, uint32_t b)
{
	struct tq_hook *ha = tq_heap_at(h, a), *hb = tq_heap_at(h, b);

	if (tq_heap_before(hb, ha)) {
		uint32_t i = a;
		struct tq_hook *t = ha;

		a = b;
		b = i;
		ha = hb;
		hb = t;
	}
	hb->next = ha->child;
	hb->prev = a;
	if (ha->child != TQ_HEAP_NONE)
		tq_heap_at(h, ha->child)->prev = b;
	ha->child = b;
	return a;
}

/* Make one heap of a list of siblings: pairs from left to right, then all from right to left. */
static inline uint32_t tq_heap_pairs(struct tq_hooks h, uint32_t first)
{
	uint32_t stack = TQ_HEAP_NONE, root;

	while (first != TQ_HEAP_NONE) {
		uint32_t a = first, b = tq_heap_at(h, a)->next;

		if (b == TQ_HEAP_NONE) {
			first = TQ_HEAP_NONE;
		} else {
			first = tq_heap_at(h, b)->next;
			a = tq_heap_meld(h, a, b);
		}
		tq_heap_at(h, a)->next = stack;
		stack = a;
	}
	root = stack;
	if (root == TQ_HEAP_NONE)
		return root;
	stack = tq_heap_at(h, root)->next;
	while (stack != TQ_HEAP_NONE) {
		uint32_t next = tq_heap_at(h, stack)->next;

		/* The left one first: of equal keys the one that came earlier stays ahead. */
		root = tq_heap_meld(h, stack, root);
		stack = next;
	}
	tq_heap_at(h, root)->next = TQ_HEAP_NONE;
	tq_heap_at(h, root)->prev = TQ_HEAP_NONE;
	return root;
}

/* key and rank of hook i are set. */
TQ_INLINE void tq_heap_insert(struct tq_hooks h, uint32_t *root, uint32_t i)
{
	struct tq_hook *hook = tq_heap_at(h, i);

	hook->child = TQ_HEAP_NONE;
	hook->next = TQ_HEAP_NONE;
	hook->prev = TQ_HEAP_NONE;
	*root = *root == TQ_HEAP_NONE ? i : tq_heap_meld(h, *root, i);
	tq_assert(tq_heap_at(h, *root)->next == TQ_HEAP_NONE);
}

static inline void tq_heap_remove(struct tq_hooks h, uint32_t *root, uint32_t i)
{
	struct tq_hook *hook = tq_heap_at(h, i), *prev;
	uint32_t sub;

	tq_assert(*root != TQ_HEAP_NONE);
	sub = hook->child == TQ_HEAP_NONE ? TQ_HEAP_NONE : tq_heap_pairs(h, hook->child);
	if (*root == i) {
		*root = sub;
		return;
	}
	tq_assert(hook->prev != TQ_HEAP_NONE);
	prev = tq_heap_at(h, hook->prev);
	if (prev->child == i)
		prev->child = hook->next;
	else
		prev->next = hook->next;
	if (hook->next != TQ_HEAP_NONE)
		tq_heap_at(h, hook->next)->prev = hook->prev;
	if (sub != TQ_HEAP_NONE)
		*root = tq_heap_meld(h, *root, sub);
}

/* Give a member a new key. */
TQ_INLINE void tq_heap_rekey(struct tq_hooks h, uint32_t *root, uint32_t i, uint64_t key)
{
	struct tq_hook *hook = tq_heap_at(h, i);

	if (*root == i && hook->child == TQ_HEAP_NONE) {
		hook->key = key; /* alone */
		return;
	}
	tq_heap_remove(h, root, i);
	hook->key = key;
	tq_heap_insert(h, root, i);
}

#endif
