/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/assert.h"
#include "port/journal.h"

#define MAGIC 0x6c6e726a71746d71ULL
#define VERSION 1
#define BOOT_ID_BYTES 40
#define PAGE_BYTES 4096u
#define SHADOW_BYTES (TQ_VQ_SHADOW * (uint32_t)sizeof(struct tq_vring_used_elem))
#define COMMIT_FILE "commit"

struct header {
	uint64_t magic;
	uint32_t version, n_rings;
	uint32_t commits; /* this is the workers' file */
	uint32_t pad;
	char boot_id[BOOT_ID_BYTES];
	char tenant[TQ_NAME_MAX], port[TQ_NAME_MAX];
};
#define HEADER_BYTES 512u
static_assert(sizeof(struct header) <= HEADER_BYTES, "the header has its place");

/* A file of ours in memory. */
struct file {
	char name[2 * TQ_NAME_MAX + 2];
	uint8_t *map;
	uint64_t bytes;
};

struct tq_journal {
	int dir_fd;
	char path[160];
	char boot_id[BOOT_ID_BYTES];
	struct file commit;
	struct tq_journal_port *first;
};

struct tq_journal_port {
	struct tq_journal *j;
	struct tq_journal_port *next;
	struct file file;
};

static struct header *header_of(const struct file *f)
{
	return (struct header *)(void *)f->map;
}

static struct tq_commit *commits_of(const struct file *f)
{
	return (struct tq_commit *)(void *)(f->map + HEADER_BYTES);
}

static struct tq_record *record_of(const struct file *f, uint32_t ring)
{
	return (struct tq_record *)(void *)(f->map + HEADER_BYTES) + ring;
}

static uint64_t shadows_at(uint32_t n_rings)
{
	uint64_t end = HEADER_BYTES + (uint64_t)n_rings * sizeof(struct tq_record);

	return (end + PAGE_BYTES - 1) & ~(uint64_t)(PAGE_BYTES - 1);
}

static uint64_t bytes_of(const struct header *h)
{
	if (h->commits)
		return PAGE_BYTES;
	return shadows_at(h->n_rings) + (uint64_t)h->n_rings * SHADOW_BYTES;
}
static_assert(HEADER_BYTES + TQ_WORKERS_MAX * sizeof(struct tq_commit) <= PAGE_BYTES,
	      "all workers on one page");

/* ---- files ---- */

static int map_fd(struct file *f, int fd, uint64_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	f->map = map;
	f->bytes = bytes;
	return 0;
}

static void unmap(struct file *f)
{
	if (f->map)
		munmap(f->map, f->bytes);
	f->map = NULL;
}

/* A file that a predecessor of ours wrote since the machine started: mapped.  Returns 0, or -errno:
 * it is none. */
static int file_open(const struct tq_journal *j, struct file *f, const char *name)
{
	int fd = openat(j->dir_fd, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	const struct header *h;
	struct stat st;
	int err = -EBADF;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (S_ISREG(st.st_mode) && st.st_uid == geteuid() && st.st_nlink == 1 &&
		 (st.st_mode & 07777) == 0600 && st.st_size >= (off_t)PAGE_BYTES &&
		 st.st_size <= (off_t)(shadows_at(2 * TQ_QUEUE_PAIRS_MAX) +
				       2 * TQ_QUEUE_PAIRS_MAX * (uint64_t)SHADOW_BYTES))
		err = map_fd(f, fd, (uint64_t)st.st_size);
	close(fd);
	if (err)
		return err;
	snprintf(f->name, sizeof(f->name), "%s", name);
	h = header_of(f);
	if (h->magic == MAGIC && h->version == VERSION && h->n_rings <= 2 * TQ_QUEUE_PAIRS_MAX &&
	    bytes_of(h) == f->bytes && memcmp(h->boot_id, j->boot_id, BOOT_ID_BYTES) == 0)
		return 0;
	unmap(f);
	return -EBADF;
}

/* A new file in the place of whatever is there. */
static int file_make(const struct tq_journal *j, struct file *f, const char *name,
		     const struct header *header)
{
	const uint64_t bytes = bytes_of(header);
	int fd, err;

	unlinkat(j->dir_fd, name, 0);
	fd = openat(j->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	/* Shadows are allocated when they are needed. */
	err = fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0;
	if (!err)
		err = -posix_fallocate(fd, 0, (off_t)shadows_at(header->n_rings));
	if (!err)
		err = map_fd(f, fd, bytes);
	close(fd);
	if (err) {
		unlinkat(j->dir_fd, name, 0);
		return err;
	}
	snprintf(f->name, sizeof(f->name), "%s", name);
	*header_of(f) = *header;
	__atomic_store_n(&header_of(f)->magic, MAGIC, __ATOMIC_RELEASE);
	return 0;
}

static struct header new_header(const struct tq_journal *j)
{
	struct header h = { .version = VERSION };

	memcpy(h.boot_id, j->boot_id, BOOT_ID_BYTES);
	return h;
}

/* ---- the directory ---- */

static int read_boot_id(char ret_id[BOOT_ID_BYTES])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	memset(ret_id, 0, BOOT_ID_BYTES);
	if (fd < 0)
		return -errno;
	n = read(fd, ret_id, BOOT_ID_BYTES - 1);
	close(fd);
	return n > 0 ? 0 : -EIO;
}

static bool is_in_memory(const char *dir)
{
	struct statfs fs;

	return statfs(dir, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* One directory in /dev/shm for each runtime directory. */
static int place(const char *runtime_dir, char *ret_path, size_t size_bytes)
{
	struct stat st;
	int n;

	if (is_in_memory(runtime_dir))
		n = snprintf(ret_path, size_bytes, "%s/journal", runtime_dir);
	else if (!is_in_memory("/dev/shm") || stat(runtime_dir, &st) < 0)
		return -ENOTSUP;
	else
		n = snprintf(ret_path, size_bytes, "/dev/shm/tqos-%u-%x-%x-%llx", geteuid(),
			     major(st.st_dev), minor(st.st_dev), (unsigned long long)st.st_ino);
	return n < (int)size_bytes ? 0 : -ENAMETOOLONG;
}

static int open_dir(struct tq_journal *j)
{
	struct stat st;

	if (mkdir(j->path, 0700) < 0 && errno != EEXIST)
		return -errno;
	j->dir_fd = open(j->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (j->dir_fd < 0 || fstat(j->dir_fd, &st) < 0)
		return -errno;
	return st.st_uid == geteuid() && (st.st_mode & 077) == 0 ? 0 : -EPERM;
}

/* Call fn for each file. */
static void each_file(struct tq_journal *j, void (*fn)(struct tq_journal *j, const char *name))
{
	int fd = dup(j->dir_fd);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	rewinddir(dir);
	while ((e = readdir(dir))) {
		if (e->d_name[0] != '.' && strcmp(e->d_name, COMMIT_FILE) != 0)
			fn(j, e->d_name);
	}
	closedir(dir);
}

static void settle_file(struct tq_journal *j, const char *name)
{
	struct file f = { 0 };

	if (file_open(j, &f, name)) {
		unlinkat(j->dir_fd, name, 0);
		return;
	}
	for (uint32_t i = 0; i < header_of(&f)->n_rings; i++)
		tq_record_settle(record_of(&f, i), commits_of(&j->commit));
	unmap(&f);
}

static void sweep_file(struct tq_journal *j, const char *name)
{
	for (struct tq_journal_port *jp = j->first; jp; jp = jp->next) {
		if (strcmp(jp->file.name, name) == 0)
			return;
	}
	unlinkat(j->dir_fd, name, 0);
}

void tq_journal_sweep(struct tq_journal *j)
{
	each_file(j, sweep_file);
}

/* Without the old numbers nothing that was recorded can be told committed from not. */
static int open_commits(struct tq_journal *j)
{
	struct header h = new_header(j);
	int err = file_open(j, &j->commit, COMMIT_FILE);

	if (err == 0 && header_of(&j->commit)->commits) {
		each_file(j, settle_file);
		/* Nobody refers to them any more: workers begin with 1. */
		memset(commits_of(&j->commit), 0, TQ_WORKERS_MAX * sizeof(struct tq_commit));
		return 0;
	}
	unmap(&j->commit);
	tq_journal_sweep(j);
	h.commits = 1;
	return file_make(j, &j->commit, COMMIT_FILE, &h);
}

int tq_journal_open(const char *runtime_dir, struct tq_journal **ret_j, struct tq_err *reterr)
{
	struct tq_journal *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return tq_err_set(reterr, -ENOMEM, "out of memory");
	j->dir_fd = -1;
	err = place(runtime_dir, j->path, sizeof(j->path));
	if (err) {
		free(j);
		return tq_err_set(reterr, err, "%s is not in memory, and neither is /dev/shm",
				  runtime_dir);
	}
	err = read_boot_id(j->boot_id);
	if (!err)
		err = open_dir(j);
	if (!err)
		err = open_commits(j);
	if (err) {
		tq_err_set(reterr, err, "%s: %s", j->path, strerror(-err));
		unmap(&j->commit);
		if (j->dir_fd >= 0)
			close(j->dir_fd);
		free(j);
		return err;
	}
	*ret_j = j;
	return 0;
}

struct tq_journal *tq_journal_close(struct tq_journal *j)
{
	if (!j)
		return NULL;
	tq_verify(!j->first);
	tq_journal_sweep(j);
	unmap(&j->commit);
	unlinkat(j->dir_fd, COMMIT_FILE, 0);
	close(j->dir_fd);
	rmdir(j->path);
	free(j);
	return NULL;
}

const char *tq_journal_dir(const struct tq_journal *j)
{
	return j->path;
}

struct tq_commit *tq_journal_commit(struct tq_journal *j, uint32_t worker)
{
	tq_verify(worker < TQ_WORKERS_MAX);
	return &commits_of(&j->commit)[worker];
}

/* ---- ports ---- */

int tq_journal_port_open(struct tq_journal *j, const char *tenant, const char *port,
			 uint32_t n_pairs, struct tq_journal_port **ret_jp)
{
	struct tq_journal_port *jp = calloc(1, sizeof(*jp));
	struct header want = new_header(j), *h;
	char name[sizeof(jp->file.name)];
	int err;

	if (!jp)
		return -ENOMEM;
	tq_verify(n_pairs >= 1 && n_pairs <= TQ_QUEUE_PAIRS_MAX);
	want.n_rings = 2 * n_pairs;
	snprintf(want.tenant, sizeof(want.tenant), "%s", tenant);
	snprintf(want.port, sizeof(want.port), "%s", port);
	snprintf(name, sizeof(name), "%s.%s", want.tenant, want.port);
	err = file_open(j, &jp->file, name);
	h = header_of(&jp->file);
	if (err == 0 && (h->n_rings != want.n_rings || h->commits ||
			 memcmp(h->tenant, want.tenant, sizeof(want.tenant)) != 0 ||
			 memcmp(h->port, want.port, sizeof(want.port)) != 0)) {
		unmap(&jp->file);
		err = -EBADF;
	}
	if (err)
		err = file_make(j, &jp->file, name, &want);
	if (err) {
		free(jp);
		return err;
	}
	jp->j = j;
	jp->next = j->first;
	j->first = jp;
	*ret_jp = jp;
	return 0;
}

struct tq_journal_port *tq_journal_port_close(struct tq_journal_port *jp, bool forget)
{
	struct tq_journal_port **p;

	if (!jp)
		return NULL;
	for (p = &jp->j->first; *p != jp; p = &(*p)->next)
		tq_verify(*p);
	*p = jp->next;
	if (forget)
		unlinkat(jp->j->dir_fd, jp->file.name, 0);
	unmap(&jp->file);
	free(jp);
	return NULL;
}

void tq_journal_port_use(struct tq_journal_port *jp, struct tq_port *port)
{
	tq_verify(!jp || header_of(&jp->file)->n_rings == 2 * port->n_pairs);
	for (uint32_t i = 0; i < 2 * port->n_pairs; i++) {
		struct tq_ring *ring = i % 2 ? port->tx[i / 2] : port->rx[i / 2];

		tq_verify(ring->state == TQ_RING_STOPPED);
		ring->record = jp ? record_of(&jp->file, i) : NULL;
		ring->shadow = NULL;
	}
}

void tq_journal_port_packed(struct tq_journal_port *jp, struct tq_ring *ring)
{
	uint64_t at =
		shadows_at(header_of(&jp->file)->n_rings) + (uint64_t)ring->index * SHADOW_BYTES;
	int fd;

	tq_verify(ring->index < header_of(&jp->file)->n_rings);
	if (ring->shadow)
		return;
	fd = openat(jp->j->dir_fd, jp->file.name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	if (posix_fallocate(fd, (off_t)at, SHADOW_BYTES) == 0)
		ring->shadow = (struct tq_vring_used_elem *)(void *)(jp->file.map + at);
	close(fd);
}
