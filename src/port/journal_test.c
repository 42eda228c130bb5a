/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/journal.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/tqos-journal-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	struct tq_journal *j;
	struct tq_err err;

	(void)state;
	if (tq_journal_open(dir, &j, &err) == 0)
		tq_journal_close(j); /* an orderly end leaves nothing */
	return rmdir(dir);
}

static struct tq_journal *open_it(void)
{
	struct tq_journal *j;
	struct tq_err err = { 0 };

	if (tq_journal_open(dir, &j, &err))
		fail_msg("%s", err.message);
	return j;
}

static const struct tq_vq_conf ring_conf = {
	.size = 256, .desc_user_addr = 0x1000, .avail_user_addr = 0x2000, .used_user_addr = 0x3000
};

/* What a worker does for a burst of one ring, up to the commit. */
static void write_burst(struct tq_record *rec, uint32_t count, uint64_t txn, uint16_t old,
			uint16_t new)
{
	struct tq_record_half *h = tq_record_next(rec, count, txn);

	h->intent = (struct tq_vq_intent){ .old = old, .new = new, .n = (uint16_t)(new - old) };
}

static uint64_t txn_of(uint64_t worker, uint64_t number)
{
	return worker << TQ_TXN_WORKER_SHIFT | number;
}

/* As a kill leaves it: files stay, the process's objects are gone (here: leaked, and freed). */
static struct tq_port *port_of(struct tq_journal *j, struct tq_journal_port **ret_jp,
			       uint32_t pairs)
{
	struct tq_port *port;

	assert_int_equal(tq_port_new(0, pairs, &port), 0);
	assert_int_equal(tq_journal_port_open(j, "red", "a", pairs, ret_jp), 0);
	tq_journal_port_use(*ret_jp, port);
	return port;
}

static void the_last_committed_burst_counts(void **state)
{
	static const struct {
		uint64_t worker, first, second, committed;
		int found; /* 0: none, 1: the first burst, 2: the second */
	} row[] = {
		{ 0, 1, 2, 0, 0 }, { 0, 1, 2, 1, 1 },  { 0, 1, 2, 2, 2 },
		{ 0, 1, 9, 8, 1 }, { 3, 1, 2, 0, 0 },  { 3, 1, 2, 1, 1 },
		{ 3, 1, 2, 2, 2 }, { 15, 5, 6, 6, 2 }, { 15, 5, 6, 5, 1 },
	};

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		struct tq_record rec = { 0 };
		struct tq_commit commit[TQ_WORKERS_MAX] = { 0 };
		const struct tq_record_half *h;

		if (row[i].committed)
			commit[row[i].worker].txn = txn_of(row[i].worker, row[i].committed);
		tq_record_reset(&rec, &ring_conf);
		write_burst(&rec, 1, txn_of(row[i].worker, row[i].first), 0, 10);
		write_burst(&rec, 2, txn_of(row[i].worker, row[i].second), 10, 15);
		for (int again = 0; again < 2; again++) {
			tq_record_settle(&rec, commit);
			h = tq_record_find(&rec, &ring_conf);
			assert_int_equal(h ? h->count : 0, row[i].found);
		}
	}
}

static void a_record_is_of_one_ring(void **state)
{
	struct tq_record rec = { 0 };
	struct tq_commit commit[TQ_WORKERS_MAX] = { { .txn = 1 } };
	struct tq_vq_conf other[5];

	(void)state;
	tq_record_reset(&rec, &ring_conf);
	assert_null(tq_record_find(&rec, &ring_conf));
	write_burst(&rec, 1, 1, 0, 1);
	tq_record_settle(&rec, commit);
	assert_non_null(tq_record_find(&rec, &ring_conf));
	for (size_t i = 0; i < TQ_ARRAY_LEN(other); i++)
		other[i] = ring_conf;
	other[0].size = 512;
	other[1].desc_user_addr++;
	other[2].avail_user_addr++;
	other[3].used_user_addr++;
	other[4].features = TQ_BIT64(TQ_VIRTIO_F_RING_PACKED);
	for (size_t i = 0; i < TQ_ARRAY_LEN(other); i++)
		assert_null(tq_record_find(&rec, &other[i]));
	tq_record_clear(&rec);
	assert_null(tq_record_find(&rec, &ring_conf));
}

static void records_outlive_a_kill(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 4; round++) {
		struct tq_journal *j = open_it();
		struct tq_journal_port *jp;
		struct tq_port *port = port_of(j, &jp, 2);
		struct tq_record *rec = port->tx[1]->record;
		const struct tq_record_half *h = tq_record_find(rec, &ring_conf);

		assert_int_equal(tq_journal_commit(j, 1)->txn, 0);
		assert_int_equal(h ? h->intent.new : 0, round * 10);
		assert_null(tq_record_find(port->rx[1]->record, &ring_conf));
		if (round == 0)
			tq_record_reset(rec, &ring_conf);
		tq_journal_port_packed(jp, port->tx[1]);
		assert_int_equal(port->tx[1]->shadow[511].len, round);
		port->tx[1]->shadow[511].len = round + 1;
		write_burst(rec, 2 * round + 1, txn_of(1, 1), (uint16_t)(round * 10),
			    (uint16_t)(round * 10 + 10));
		tq_journal_commit(j, 1)->txn = txn_of(1, 1);
		write_burst(rec, 2 * round + 2, txn_of(1, 2), (uint16_t)(round * 10 + 10), 999);
		tq_journal_port_use(NULL, port);
		tq_port_free(port);
		tq_journal_port_close(jp, false);
		/* j is left as a kill leaves it. */
	}
}

static void another_number_of_queues_begins_anew(void **state)
{
	struct tq_journal *j = open_it();
	struct tq_journal_port *jp;
	struct tq_port *port = port_of(j, &jp, 1);
	struct tq_commit commit[TQ_WORKERS_MAX] = { { .txn = 1 } };

	(void)state;
	tq_record_reset(port->tx[0]->record, &ring_conf);
	write_burst(port->tx[0]->record, 1, 1, 0, 1);
	tq_record_settle(port->tx[0]->record, commit);
	tq_journal_port_close(jp, false);
	tq_port_free(port);
	port = port_of(j, &jp, TQ_QUEUE_PAIRS_MAX);
	assert_null(tq_record_find(port->tx[0]->record, &ring_conf));
	tq_journal_port_close(jp, true);
	tq_port_free(port);
	tq_journal_close(j);
}

/* Files that somebody else may have written say nothing. */
static void files_that_are_not_ours_are_made_anew(void **state)
{
	enum { MODE, LINK, SYMLINK, SHORT, LONG, GARBAGE, N };

	(void)state;
	for (int what = 0; what < N; what++) {
		struct tq_journal *j = open_it();
		struct tq_journal_port *jp;
		struct tq_port *port = port_of(j, &jp, 1);
		char path[256], other[280];
		struct stat st;

		tq_record_reset(port->tx[0]->record, &ring_conf);
		write_burst(port->tx[0]->record, 1, 1, 0, 1);
		tq_journal_commit(j, 0)->txn = 1;
		snprintf(path, sizeof(path), "%s/red.a", tq_journal_dir(j));
		snprintf(other, sizeof(other), "%s/.other", tq_journal_dir(j));
		tq_journal_port_close(jp, false);
		tq_port_free(port);
		if (what == MODE)
			assert_int_equal(chmod(path, 0644), 0);
		else if (what == LINK)
			assert_int_equal(link(path, other), 0);
		else if (what == SYMLINK)
			assert_int_equal(rename(path, other) + symlink(other, path), 0);
		else if (what == SHORT || what == LONG)
			assert_int_equal(truncate(path, what == SHORT ? 100 : 1 << 20), 0);
		else {
			FILE *f = fopen(path, "r+");

			assert_non_null(f);
			fputs("garbage", f);
			fclose(f);
		}
		j = open_it();
		port = port_of(j, &jp, 1);
		assert_null(tq_record_find(port->tx[0]->record, &ring_conf));
		assert_int_equal(lstat(path, &st), 0);
		assert_true(S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600);
		tq_journal_port_close(jp, true);
		tq_port_free(port);
		unlink(other);
		tq_journal_close(j);
	}
}

static void files_of_ports_that_are_gone_are_removed(void **state)
{
	struct tq_journal *j = open_it();
	struct tq_journal_port *jp;
	struct tq_port *port = port_of(j, &jp, 1);
	char path[256];

	(void)state;
	snprintf(path, sizeof(path), "%s/red.a", tq_journal_dir(j));
	tq_journal_port_close(jp, false);
	tq_port_free(port);
	j = open_it();
	assert_int_equal(access(path, F_OK), 0);
	tq_journal_sweep(j);
	assert_int_not_equal(access(path, F_OK), 0);
	tq_journal_close(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_committed_burst_counts),
		cmocka_unit_test(a_record_is_of_one_ring),
		cmocka_unit_test_setup_teardown(records_outlive_a_kill, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(another_number_of_queues_begins_anew, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(files_that_are_not_ours_are_made_anew, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(files_of_ports_that_are_gone_are_removed, make_dir,
						remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
