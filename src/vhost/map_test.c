/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "vhost/map.h"
#include "vhost/owner_test.h"
#include "vhost/sigbus.h"

#define MIB (1ULL << 20)

static int file_of(uint64_t bytes, unsigned flags)
{
	int fd = memfd_create("tq-maptest", MFD_CLOEXEC | flags);

	if (fd >= 0)
		assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	return fd;
}

static struct tq_vu_region region(uint64_t gpa, uint64_t bytes, uint64_t offset)
{
	return (struct tq_vu_region){ gpa, bytes, gpa + (1ULL << 40), offset };
}

/* In a child: as in the daemon, where no test framework handles signals. */
static void alone(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	signal(SIGSEGV, SIG_DFL);
	signal(SIGBUS, SIG_DFL);
	assert_int_equal(tq_sigbus_install(), 0);
}

/* Does touching the byte end a child, and by which signal? 0: it lives. */
static int touch(volatile uint8_t *p)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		alone();
		*p = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void test_guards_and_offset(void **state)
{
	static const struct {
		uint64_t bytes, offset;
	} row[] = { { 4096, 0 },          { 4096, 4096 },
		    { 8 * MIB, 0 },       { 8 * MIB, 3 * MIB + 4096 },
		    { 2 * MIB, 2 * MIB }, { 100, 16 } };

	(void)state;
	for (size_t i = 0; i < TQ_ARRAY_LEN(row); i++) {
		const uint64_t begin = row[i].offset & ~4095ULL;
		const uint64_t end = (row[i].offset + row[i].bytes + 4095) & ~4095ULL;
		struct tq_vu_region r = region(0, row[i].bytes, row[i].offset);
		struct tq_memtab *t = tq_memtab_new();
		int fd = file_of(16 * MIB, 0);
		uint32_t poison = 0;
		uint8_t *host;

		assert_int_equal(pwrite(fd, "x", 1, (off_t)row[i].offset), 1);
		assert_int_equal(pwrite(fd, "y", 1, (off_t)(row[i].offset + row[i].bytes - 1)), 1);
		assert_int_equal(tq_memtab_add(t, &r, fd), 0);
		assert_int_equal(tq_memtab_map(t, &poison), 0);
		host = t->mem.region[0].host;
		assert_int_equal(host[0], 'x');
		assert_int_equal(host[row[i].bytes - 1], 'y');
		/* Offset and address agree modulo 2 MiB, for transparent huge pages. */
		assert_int_equal(((uintptr_t)host - row[i].offset) % (2 * MIB), 0);
		assert_int_equal(touch(host), 0);
		assert_int_equal(touch(host - (row[i].offset - begin) - 1), SIGSEGV);
		assert_int_equal(touch(host - (row[i].offset - begin) - TQ_MAP_GUARD_BYTES),
				 SIGSEGV);
		assert_int_equal(touch(host + (end - row[i].offset)), SIGSEGV);
		assert_int_equal(touch(host + (end - row[i].offset) + TQ_MAP_GUARD_BYTES - 1),
				 SIGSEGV);
		assert_null(tq_memtab_free(t, NULL));
		assert_int_equal(count_maps("tq-maptest"), 0);
	}
}

static void test_not_in_core_files(void **state)
{
	struct tq_vu_region r = region(0, 4096, 0);
	struct tq_memtab *t = tq_memtab_new();
	FILE *f;
	char line[512];
	bool inside = false, dontdump = false;
	uint32_t poison = 0;

	(void)state;
	assert_int_equal(tq_memtab_add(t, &r, file_of(4096, 0)), 0);
	assert_int_equal(tq_memtab_map(t, &poison), 0);
	f = fopen("/proc/self/smaps", "r");
	while (fgets(line, sizeof(line), f)) {
		inside = strstr(line, "tq-maptest") ? true : inside;
		if (inside && strncmp(line, "VmFlags:", 8) == 0) {
			dontdump = strstr(line, " dd") != NULL;
			break;
		}
	}
	fclose(f);
	assert_true(dontdump);
	tq_memtab_free(t, NULL);
}

static void test_table_rules(void **state)
{
	struct tq_memtab *t = tq_memtab_new();
	struct tq_vu_region r = region(0, 4096, 0);
	int fd = file_of(4096, 0), fds[TQ_MEM_REGIONS_MAX];

	(void)state;
	r.user_addr += 8; /* alignment of ours would differ */
	assert_int_equal(tq_memtab_add(t, &r, fd), -EINVAL);
	r = region(0, 4097, 0);
	assert_int_equal(tq_memtab_add(t, &r, fd), -EFBIG);
	/* From high to low, so that each goes to the front. */
	for (int i = TQ_MEM_REGIONS_MAX - 1; i >= 0; i--) {
		r = region((uint64_t)i * 4096, 4096, 0);
		fds[i] = dup(fd);
		assert_int_equal(tq_memtab_add(t, &r, fds[i]), 0);
		r.gpa += 16;
		r.user_addr += 1ULL << 41;
		assert_int_equal(tq_memtab_add(t, &r, fd), i ? -EEXIST : -ENOSPC);
	}
	for (int i = 0; i < TQ_MEM_REGIONS_MAX; i++) {
		assert_int_equal(t->mem.region[i].gpa, (uint64_t)i * 4096);
		assert_int_equal(t->fd[i], fds[i]);
	}
	r = region(5 * 4096, 4096, 0);
	assert_int_equal(tq_memtab_del(t, &r, NULL), 0);
	assert_int_equal(fcntl(fds[5], F_GETFD), -1);
	assert_int_equal(tq_memtab_del(t, &r, NULL), -ENOENT);
	assert_int_equal(t->mem.n, TQ_MEM_REGIONS_MAX - 1);
	assert_int_equal(t->fd[5], fds[6]);
	tq_memtab_free(t, NULL);
	for (int i = 0; i < TQ_MEM_REGIONS_MAX; i++)
		assert_int_equal(fcntl(fds[i], F_GETFD), -1);
	close(fd);
}

/* A new table keeps mappings of the same range of the same file, and only those. */
static void test_share(void **state)
{
	struct tq_memtab *a = tq_memtab_new(), *b = tq_memtab_new(), *c;
	struct tq_vu_region r0 = region(0, 4096, 0), r1 = region(1 << 20, 4096, 4096),
			    r2 = region(1 << 20, 4096, 0);
	int fd = file_of(8192, 0);
	uint32_t poison = 0;

	(void)state;
	assert_int_equal(tq_memtab_add(a, &r0, dup(fd)), 0);
	assert_int_equal(tq_memtab_add(a, &r1, dup(fd)), 0);
	assert_int_equal(tq_memtab_map(a, &poison), 0);
	assert_int_equal(tq_memtab_add(b, &r0, dup(fd)), 0);
	assert_int_equal(tq_memtab_add(b, &r2, file_of(4096, 0)), 0);
	assert_false(tq_memtab_same(a, b));
	tq_memtab_share(b, a);
	assert_ptr_equal(b->map[0], a->map[0]);
	assert_null(b->map[1]);
	assert_int_equal(tq_memtab_map(b, &poison), 0);
	assert_ptr_equal(b->mem.region[0].host, a->mem.region[0].host);
	assert_int_equal(count_maps("tq-maptest"), 3);
	c = tq_memtab_copy(b);
	assert_true(tq_memtab_same(b, c));
	tq_memtab_free(a, NULL);
	assert_int_equal(count_maps("tq-maptest"), 2);
	tq_memtab_free(b, NULL);
	assert_int_equal(count_maps("tq-maptest"), 2);
	c->mem.region[0].host[0] = 7;
	tq_memtab_free(c, NULL);
	assert_int_equal(count_maps("tq-maptest"), 0);
	close(fd);
}

/* F02: the file ends under us. Its owner is marked, the copy goes on, the neighbour notices
 * nothing. */
static void test_sigbus(void **state)
{
	struct tq_memtab *bad = tq_memtab_new(), *good = tq_memtab_new();
	struct tq_vu_region r = region(0, 8 * MIB, 0);
	uint32_t bad_poison = 0, good_poison = 0;
	int fd = file_of(8 * MIB, 0);
	volatile uint8_t *p;

	(void)state;
	assert_int_equal(tq_sigbus_install(), 0);
	assert_int_equal(tq_sigbus_install(), 0); /* once is enough */
	assert_int_equal(tq_memtab_add(bad, &r, dup(fd)), 0);
	assert_int_equal(tq_memtab_map(bad, &bad_poison), 0);
	assert_int_equal(tq_memtab_add(good, &r, file_of(8 * MIB, 0)), 0);
	assert_int_equal(tq_memtab_map(good, &good_poison), 0);
	p = bad->mem.region[0].host;
	p[0] = 5;
	assert_int_equal(ftruncate(fd, 4096), 0);
	p[0] = 6;
	assert_int_equal(p[0], 6);
	assert_false(tq_map_poisoned(&bad_poison)); /* the first page is still there */
	assert_int_equal(p[8 * MIB - 1], 0);
	assert_true(tq_map_poisoned(&bad_poison));
	p[8 * MIB - 1] = 9;
	assert_int_equal(p[8 * MIB - 1], 9);
	assert_int_equal(p[3 * MIB], 0);
	assert_int_equal(p[0], 6); /* only the faulting part was replaced */
	assert_int_equal(ftruncate(fd, 0), 0);
	for (uint64_t at = 0; at < 8 * MIB; at += 4096)
		p[at]++;
	assert_int_equal(p[4096], 1);
	good->mem.region[0].host[8 * MIB - 1] = 1;
	assert_false(tq_map_poisoned(&good_poison));
	tq_memtab_free(bad, NULL);
	tq_memtab_free(good, NULL);
	assert_int_equal(count_maps("tq-maptest"), 0);
	close(fd);
}

/* A fault outside the table is still fatal. */
static void test_sigbus_elsewhere(void **state)
{
	int fd = file_of(4096, 0);
	volatile uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int status, sent, ready[2];
	pid_t pid;
	char byte;

	(void)state;
	assert_true(p != MAP_FAILED);
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(touch(p), SIGBUS);
	/* And so is one that somebody sends. */
	pid = fork();
	if (pid == 0) {
		alone();
		sent = write(ready[1], "r", 1) == 1;
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	sent = kill(pid, SIGBUS);
	assert_int_equal(sent, 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	munmap((void *)(uintptr_t)p, 4096);
	close(fd);
	close(ready[0]);
	close(ready[1]);
}

static void test_sigbus_table(void **state)
{
	static int index[TQ_SIGBUS_RANGES_MAX];
	uint32_t poison = 0;
	uint8_t *base = (uint8_t *)0x100000000000; /* never touched */

	(void)state;
	for (int i = 0; i < TQ_SIGBUS_RANGES_MAX; i++) {
		index[i] = tq_sigbus_add(base + (uint64_t)i * 4096, 4096, 4096, &poison);
		assert_int_equal(index[i], i);
	}
	assert_int_equal(tq_sigbus_add(base, 4096, 4096, &poison), -ENOSPC);
	tq_sigbus_del(index[100]);
	tq_sigbus_del(index[7]);
	assert_int_equal(tq_sigbus_add(base, 4096, 4096, &poison), 7);
	assert_int_equal(tq_sigbus_add(base, 4096, 4096, &poison), 100);
	for (int i = 0; i < TQ_SIGBUS_RANGES_MAX; i++)
		tq_sigbus_del(i);
}

/* Huge pages of 2 MiB, where the machine has some to give. */
static void test_hugetlb(void **state)
{
	struct tq_memtab *t;
	struct tq_vu_region r = region(0, 2 * MIB + 4096, 4096);
	int fd = file_of(6 * MIB, MFD_HUGETLB);
	uint32_t poison = 0;
	uint8_t *probe;

	(void)state;
	probe = fd < 0 ? MAP_FAILED
		       : mmap(NULL, 6 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (probe == MAP_FAILED) {
		if (fd >= 0)
			close(fd);
		print_message("no huge pages here\n");
		skip();
	}
	probe[4096] = 3;
	munmap(probe, 6 * MIB);
	t = tq_memtab_new();
	assert_int_equal(tq_sigbus_install(), 0);
	assert_int_equal(tq_memtab_add(t, &r, dup(fd)), 0);
	assert_int_equal(t->file[0].page_bytes, 2 * MIB);
	assert_int_equal(tq_memtab_map(t, &poison), 0);
	assert_int_equal(t->mem.region[0].host[0], 3);
	assert_int_equal(ftruncate(fd, 0), 0);
	t->mem.region[0].host[2 * MIB]++;
	t->mem.region[0].host[0]++;
	assert_true(tq_map_poisoned(&poison));
	tq_memtab_free(t, NULL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guards_and_offset),
		cmocka_unit_test(test_not_in_core_files),
		cmocka_unit_test(test_table_rules),
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_sigbus),
		cmocka_unit_test(test_sigbus_elsewhere),
		cmocka_unit_test(test_sigbus_table),
		cmocka_unit_test(test_hugetlb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
