/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "vhost/map.h"
#include "vhost/sigbus.h"

#define HUGE_BYTES (2ULL << 20)

struct tq_map {
	struct tq_mapper_job job; /* the unmap; first, so that the job is the mapping */
	uint32_t refs;            /* control thread only */
	int sigbus;               /* index in the SIGBUS table, -1 when not in it */
	void *reserve;
	size_t reserve_bytes;
	uint8_t *host; /* first byte of the region */
};

static uint64_t round_down(uint64_t v, uint64_t to)
{
	return v & ~(to - 1);
}

static uint64_t round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

/* Reserve address space with guards, put the file in the middle. */
static int map_place(struct tq_map *m, const struct tq_vu_region *r, const struct tq_fd_mem *file,
		     int fd)
{
	const uint64_t begin = round_down(r->mmap_offset_bytes, file->page_bytes);
	const uint64_t end = round_up(r->mmap_offset_bytes + r->size_bytes, file->page_bytes);
	const uint64_t align = TQ_MAX(file->page_bytes, HUGE_BYTES);
	uint64_t at;
	void *got;

	tq_verify(end > begin && r->size_bytes <= end - begin);
	if (end - begin > SIZE_MAX - 2 * TQ_MAP_GUARD_BYTES - align)
		return -ENOMEM;
	m->reserve_bytes = end - begin + 2 * TQ_MAP_GUARD_BYTES + align;
	m->reserve = mmap(NULL, m->reserve_bytes, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->reserve == MAP_FAILED) {
		m->reserve = NULL;
		return -errno;
	}
	/* Address and offset agree modulo the huge page, which transparent huge pages of tmpfs
	 * need. */
	at = round_up((uintptr_t)m->reserve + TQ_MAP_GUARD_BYTES, align) + begin % align;
	if (at - align >= (uintptr_t)m->reserve + TQ_MAP_GUARD_BYTES)
		at -= align;
	tq_verify(at + (end - begin) + TQ_MAP_GUARD_BYTES <=
		  (uintptr_t)m->reserve + m->reserve_bytes);
	got = mmap((void *)(uintptr_t)at, end - begin, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, (off_t)begin);
	if (got == MAP_FAILED)
		return -errno;
	/* A core file must not hold tenants' memory. hugetlbfs may refuse; it is then not dumped by
	 * default. */
	(void)madvise(got, end - begin, MADV_DONTDUMP);
	m->host = (uint8_t *)got + (r->mmap_offset_bytes - begin);
	return 0;
}

static void map_run_unmap(struct tq_mapper_job *job)
{
	struct tq_map *m = (struct tq_map *)job;

	if (m->reserve)
		tq_verify(munmap(m->reserve, m->reserve_bytes) == 0);
	m->reserve = NULL;
}

static void map_done_unmap(struct tq_mapper_job *job)
{
	free(TQ_CONTAINER_OF(job, struct tq_map, job));
}

/* Who may still hold it: nobody reads the region any more (all rings stopped or switched), so no
 * fault can come that needs its SIGBUS entry. */
static void map_unref(struct tq_map *m, struct tq_mapper *mapper)
{
	tq_verify(m->refs > 0);
	if (--m->refs > 0)
		return;
	if (m->sigbus >= 0)
		tq_sigbus_del(m->sigbus);
	m->job.run = map_run_unmap;
	m->job.done = map_done_unmap;
	tq_mapper_submit(mapper, &m->job);
}

int tq_map_open(const struct tq_vu_region *r, const struct tq_fd_mem *file, int fd,
		uint32_t *poison, struct tq_map **ret)
{
	struct tq_map *m = calloc(1, sizeof(*m));
	int rc;

	if (!m)
		return -ENOMEM;
	m->refs = 1;
	m->sigbus = -1;
	rc = map_place(m, r, file, fd);
	if (rc < 0)
		goto fail;
	/* From the first page that holds the region to the last one. */
	m->sigbus = tq_sigbus_add(m->host - (r->mmap_offset_bytes % file->page_bytes),
				  round_up(r->mmap_offset_bytes % file->page_bytes + r->size_bytes,
					   file->page_bytes),
				  TQ_MAX(file->page_bytes, HUGE_BYTES), poison);
	if (m->sigbus < 0) {
		rc = m->sigbus;
		goto fail;
	}
	*ret = m;
	return 0;
fail:
	if (m->reserve)
		munmap(m->reserve, m->reserve_bytes);
	free(m);
	return rc;
}

uint8_t *tq_map_host(const struct tq_map *m)
{
	return m->host;
}

void tq_map_close(struct tq_map *m, struct tq_mapper *mapper)
{
	map_unref(m, mapper);
}

struct tq_memtab *tq_memtab_new(void)
{
	struct tq_memtab *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	for (uint32_t i = 0; i < TQ_MEM_REGIONS_MAX; i++)
		t->fd[i] = -1;
	return t;
}

struct tq_memtab *tq_memtab_copy(const struct tq_memtab *t)
{
	struct tq_memtab *copy = malloc(sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *t;
	for (uint32_t i = 0; i < t->mem.n; i++) {
		tq_verify(t->map[i] && t->fd[i] < 0);
		t->map[i]->refs++;
	}
	return copy;
}

struct tq_memtab *tq_memtab_free(struct tq_memtab *t, struct tq_mapper *mapper)
{
	if (!t)
		return NULL;
	for (uint32_t i = 0; i < t->mem.n; i++) {
		if (t->map[i])
			map_unref(t->map[i], mapper);
		if (t->fd[i] >= 0)
			close(t->fd[i]);
	}
	free(t);
	return NULL;
}

/* Move entries [from, n) by one place up (+1) or [from + 1, n) down (-1). */
static void shift(struct tq_memtab *t, uint32_t from, int by)
{
	uint32_t src = by > 0 ? from : from + 1, dst = by > 0 ? from + 1 : from;
	size_t n = t->mem.n - src;

	memmove(&t->mem.region[dst], &t->mem.region[src], n * sizeof(t->mem.region[0]));
	memmove(&t->region[dst], &t->region[src], n * sizeof(t->region[0]));
	memmove(&t->file[dst], &t->file[src], n * sizeof(t->file[0]));
	memmove(&t->map[dst], &t->map[src], n * sizeof(t->map[0]));
	memmove(&t->fd[dst], &t->fd[src], n * sizeof(t->fd[0]));
}

int tq_memtab_add(struct tq_memtab *t, const struct tq_vu_region *region, int fd)
{
	struct tq_mem trial = t->mem;
	struct tq_fd_mem file;
	uint32_t i = 0;
	int rc;

	if (trial.n >= TQ_MEM_REGIONS_MAX)
		return -ENOSPC;
	/* Rings are aligned in the front-end's addresses; they must be so in ours. */
	if ((region->user_addr ^ region->mmap_offset_bytes) & 15)
		return -EINVAL;
	trial.region[trial.n++] = (struct tq_mem_region){ .gpa = region->gpa,
							  .user_addr = region->user_addr,
							  .size_bytes = region->size_bytes };
	rc = tq_mem_check(&trial);
	if (rc == 0)
		rc = tq_fd_check_mem(fd, region->mmap_offset_bytes, region->size_bytes, &file);
	if (rc < 0)
		return rc;
	while (i < t->mem.n && t->mem.region[i].gpa < region->gpa)
		i++;
	shift(t, i, +1);
	t->mem.n++;
	t->mem.region[i] = (struct tq_mem_region){ .gpa = region->gpa,
						   .user_addr = region->user_addr,
						   .size_bytes = region->size_bytes };
	t->region[i] = *region;
	t->file[i] = file;
	t->map[i] = NULL;
	t->fd[i] = fd;
	return 0;
}

int tq_memtab_del(struct tq_memtab *t, const struct tq_vu_region *region, struct tq_mapper *mapper)
{
	for (uint32_t i = 0; i < t->mem.n; i++) {
		const struct tq_vu_region *r = &t->region[i];

		if (r->gpa != region->gpa || r->user_addr != region->user_addr ||
		    r->size_bytes != region->size_bytes)
			continue;
		if (t->map[i])
			map_unref(t->map[i], mapper);
		if (t->fd[i] >= 0)
			close(t->fd[i]);
		shift(t, i, -1);
		t->mem.n--;
		t->map[t->mem.n] = NULL;
		t->fd[t->mem.n] = -1;
		return 0;
	}
	return -ENOENT;
}

static bool same_file_range(const struct tq_memtab *a, uint32_t i, const struct tq_memtab *b,
			    uint32_t k)
{
	return a->file[i].dev == b->file[k].dev && a->file[i].ino == b->file[k].ino &&
	       a->region[i].mmap_offset_bytes == b->region[k].mmap_offset_bytes &&
	       a->region[i].size_bytes == b->region[k].size_bytes;
}

bool tq_memtab_has(const struct tq_memtab *t, const struct tq_vu_region *region, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	for (uint32_t i = 0; i < t->mem.n; i++) {
		const struct tq_vu_region *r = &t->region[i];

		if (r->gpa == region->gpa && r->user_addr == region->user_addr &&
		    r->size_bytes == region->size_bytes &&
		    r->mmap_offset_bytes == region->mmap_offset_bytes &&
		    t->file[i].dev == st.st_dev && t->file[i].ino == st.st_ino)
			return true;
	}
	return false;
}

bool tq_memtab_same(const struct tq_memtab *a, const struct tq_memtab *b)
{
	if (a->mem.n != b->mem.n)
		return false;
	for (uint32_t i = 0; i < a->mem.n; i++) { /* both are sorted by gpa */
		if (a->region[i].gpa != b->region[i].gpa ||
		    a->region[i].user_addr != b->region[i].user_addr ||
		    !same_file_range(a, i, b, i))
			return false;
	}
	return true;
}

void tq_memtab_share(struct tq_memtab *t, const struct tq_memtab *old)
{
	for (uint32_t i = 0; i < t->mem.n; i++) {
		for (uint32_t k = 0; k < old->mem.n && !t->map[i]; k++) {
			if (!old->map[k] || !same_file_range(t, i, old, k))
				continue;
			t->map[i] = old->map[k];
			t->map[i]->refs++;
			t->mem.region[i].host = t->map[i]->host;
			close(t->fd[i]);
			t->fd[i] = -1;
		}
	}
}

int tq_memtab_map(struct tq_memtab *t, uint32_t *poison)
{
	for (uint32_t i = 0; i < t->mem.n; i++) {
		int rc;

		if (t->map[i])
			continue;
		rc = tq_map_open(&t->region[i], &t->file[i], t->fd[i], poison, &t->map[i]);
		if (rc < 0)
			return rc;
		t->mem.region[i].host = t->map[i]->host;
		close(t->fd[i]);
		t->fd[i] = -1;
	}
	return 0;
}
