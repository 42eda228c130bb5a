/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright the tenant-qos authors
 *
 * tqload - the load of the test guests: few system calls a frame (they are dear under UML and TCG),
 * counts at the receiver, no control connection that could starve with the load it measures.
 * Static: it runs in an initramfs.
 *
 *   tqload stat IFNAME     the guest's clock and counters, once
 *   tqload tick MS         wakes up every MS ms, for ever
 *   tqload sink PORT       TCP and UDP receiver until SIGTERM, then its counts
 *   tqload tcp ADDRESS PORT FLOWS SECONDS
 *                          greedy TCP flows, then bytes and retransmits of each
 *   tqload udp ADDRESS PORT BYTES SECONDS [PPS]
 *                          UDP datagrams, greedy or paced (send blocks as the ring does)
 *
 * Output is KEY=INTEGER, one a line or separated by blanks; units last in the key.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FLOWS_MAX = 64, BATCH = 32, DATAGRAM_MAX = 65507, CHUNK_BYTES = 256 * 1024 };

static volatile sig_atomic_t stop;
static char chunk[CHUNK_BYTES];

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static void die(const char *what)
{
	fprintf(stderr, "tqload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t long_arg(const char *text, uint64_t max)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);

	if (*end != '\0' || v > max) {
		fprintf(stderr, "tqload: bad number %s\n", text);
		exit(2);
	}
	return v;
}

/* ---- stat ---------------------------------------------------------------------------------- */

static uint64_t read_counter(const char *ifname, const char *name)
{
	char path[128], text[32] = "0";
	int fd;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s", ifname, name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		die(path);
	close(fd);
	return strtoull(text, NULL, 10);
}

/* RetransSegs is field 12 of the second "Tcp:" line (RFC 1213). */
static uint64_t read_retransmits(void)
{
	char line[512];
	uint64_t v = 0;
	FILE *f = fopen("/proc/net/snmp", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "Tcp: ", 5) == 0)
			sscanf(line, "Tcp: %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu", &v);
	if (f != NULL)
		fclose(f);
	return v;
}

static void do_stat(const char *ifname)
{
	static const char *const names[] = { "rx_bytes",   "tx_bytes",   "rx_packets",
					     "tx_packets", "rx_dropped", "tx_dropped" };
	static const char *const keys[] = { "rx_bytes",  "tx_bytes",          "rx_frames",
					    "tx_frames", "rx_dropped_frames", "tx_dropped_frames" };
	uint64_t v[6], before_ns, after_ns;

	before_ns = now_ns();
	for (int i = 0; i < 6; i++) {
		v[i] = read_counter(ifname, names[i]);
		if (i == 0)
			after_ns = now_ns();
	}
	/* The time belongs to rx_bytes, the figure that is judged. */
	printf("time_ns=%lu\n", before_ns + (after_ns - before_ns) / 2);
	for (int i = 0; i < 6; i++)
		printf("%s=%lu\n", keys[i], v[i]);
	printf("retransmits=%lu\n", read_retransmits());
}

/* ---- sink ---------------------------------------------------------------------------------- */

struct sink {
	uint64_t tcp_bytes, udp_bytes, udp_datagrams, udp_lost, udp_backward;
	uint64_t next_seq;
	uint64_t first_ns, last_ns;
};

static int listen_on(int type, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, size = 4 << 20;
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
	    (type == SOCK_STREAM && listen(fd, FLOWS_MAX) != 0))
		die("listen");
	return fd;
}

/* A datagram starts with its number; a number of 0 starts a new count. */
static void sink_count(struct sink *s, const struct mmsghdr *m)
{
	uint64_t seq = 0;

	s->udp_datagrams++;
	s->udp_bytes += m->msg_len;
	if (m->msg_len >= sizeof(seq))
		memcpy(&seq, m->msg_hdr.msg_iov->iov_base, sizeof(seq));
	if (seq == 0)
		s->next_seq = 0;
	if (seq >= s->next_seq) {
		s->udp_lost += seq - s->next_seq;
		s->next_seq = seq + 1;
	} else {
		s->udp_backward++;
	}
}

static void sink_udp(struct sink *s, int fd)
{
	static char buf[BATCH][2048];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH];
	int n;

	do {
		for (int i = 0; i < BATCH; i++) {
			iov[i] = (struct iovec){ buf[i], sizeof(buf[i]) };
			m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &iov[i],
							      .msg_iovlen = 1 } };
		}
		n = recvmmsg(fd, m, BATCH, MSG_DONTWAIT | MSG_TRUNC, NULL);
		for (int i = 0; i < n; i++)
			sink_count(s, &m[i]);
	} while (n == BATCH && !stop);
}

/* MSG_TRUNC on TCP: the kernel throws the bytes away, nothing is copied. */
static bool sink_tcp(struct sink *s, int fd)
{
	ssize_t n = recv(fd, NULL, 4 << 20, MSG_DONTWAIT | MSG_TRUNC);

	if (n > 0) {
		s->tcp_bytes += (uint64_t)n;
		s->last_ns = now_ns();
		if (s->first_ns == 0)
			s->first_ns = s->last_ns;
	}
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static void do_sink(uint16_t port)
{
	struct sink s = { 0 };
	struct pollfd p[2 + FLOWS_MAX] = {
		{ .fd = listen_on(SOCK_STREAM, port), .events = POLLIN },
		{ .fd = listen_on(SOCK_DGRAM, port), .events = POLLIN },
	};
	nfds_t n = 2;

	while (!stop) {
		if (poll(p, n, 500) <= 0)
			continue;
		if (p[1].revents)
			sink_udp(&s, p[1].fd);
		for (nfds_t i = n; i-- > 2;)
			if (p[i].revents && !sink_tcp(&s, p[i].fd)) {
				close(p[i].fd);
				p[i] = p[--n];
			}
		if (p[0].revents && n < 2 + FLOWS_MAX) {
			p[n] = (struct pollfd){ .fd = accept(p[0].fd, NULL, NULL),
						.events = POLLIN };
			n += p[n].fd >= 0;
		}
	}
	printf("tcp_bytes=%lu\ntcp_first_ns=%lu\ntcp_last_ns=%lu\nudp_bytes=%lu\n"
	       "udp_datagrams=%lu\nudp_lost=%lu\nudp_backward=%lu\n",
	       s.tcp_bytes, s.first_ns, s.last_ns, s.udp_bytes, s.udp_datagrams, s.udp_lost,
	       s.udp_backward);
}

/* ---- senders ------------------------------------------------------------------------------- */

static int connect_to(int type, const char *address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0)
		die("connect");
	return fd;
}

static void do_tcp(const char *address, uint16_t port, int flows, uint64_t seconds)
{
	struct pollfd p[FLOWS_MAX];
	uint64_t sent[FLOWS_MAX] = { 0 }, total = 0, retransmits = 0, end_ns;

	for (int i = 0; i < flows; i++) {
		p[i] = (struct pollfd){ .fd = connect_to(SOCK_STREAM, address, port),
					.events = POLLOUT };
		fcntl(p[i].fd, F_SETFL, O_NONBLOCK);
	}
	end_ns = now_ns() + seconds * 1000000000;
	while (!stop && now_ns() < end_ns) {
		if (poll(p, (nfds_t)flows, 200) <= 0)
			continue;
		for (int i = 0; i < flows; i++) {
			ssize_t n = p[i].revents ? send(p[i].fd, chunk, sizeof(chunk), MSG_NOSIGNAL)
						 : 0;

			if (n < 0 && errno != EAGAIN && errno != EINTR)
				die("send");
			sent[i] += n > 0 ? (uint64_t)n : 0;
		}
	}
	for (int i = 0; i < flows; i++) {
		struct tcp_info info = { 0 };
		socklen_t len = sizeof(info);

		getsockopt(p[i].fd, IPPROTO_TCP, TCP_INFO, &info, &len);
		total += sent[i];
		retransmits += info.tcpi_total_retrans;
		printf("flow%d_bytes=%lu\nflow%d_retransmits=%u\nflow%d_rtt_us=%u\n", i, sent[i], i,
		       info.tcpi_total_retrans, i, info.tcpi_rtt);
	}
	printf("tcp_bytes=%lu\nretransmits=%lu\n", total, retransmits);
}

/* One batch; returns how many were taken. */
static unsigned int send_batch(int fd, uint64_t seq, size_t size_bytes, unsigned int n)
{
	static char head[BATCH][8];
	struct mmsghdr m[BATCH];
	struct iovec iov[BATCH][2];
	int done;

	for (unsigned int i = 0; i < n; i++) {
		uint64_t number = seq + i;

		memcpy(head[i], &number, sizeof(number));
		iov[i][0] = (struct iovec){ head[i], size_bytes < 8 ? size_bytes : 8 };
		iov[i][1] = (struct iovec){ chunk, size_bytes < 8 ? 0 : size_bytes - 8 };
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = iov[i], .msg_iovlen = 2 } };
	}
	done = sendmmsg(fd, m, n, 0);
	if (done < 0 && errno != EINTR && errno != ENOBUFS && errno != ECONNREFUSED)
		die("sendmmsg");
	return done < 0 ? 0 : (unsigned int)done;
}

static void do_udp(const char *address, uint16_t port, size_t size_bytes, uint64_t seconds,
		   uint64_t pps)
{
	int fd = connect_to(SOCK_DGRAM, address, port);
	uint64_t start_ns = now_ns(), t_ns = start_ns, seq = 0;

	/* A small send buffer: send blocks while the device's queue is full instead of filling a
	 * qdisc. */
	int sndbuf = 64 * 1024;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof(sndbuf));
	while (!stop && t_ns - start_ns < seconds * 1000000000) {
		unsigned int n = BATCH;

		if (pps > 0) {
			uint64_t due = (t_ns - start_ns) * pps / 1000000000;

			n = due <= seq ? 0 : due - seq < BATCH ? (unsigned int)(due - seq) : BATCH;
		}
		if (n > 0)
			seq += send_batch(fd, seq, size_bytes, n);
		else
			usleep(1000);
		t_ns = now_ns();
	}
	printf("udp_datagrams=%lu\nudp_bytes=%lu\n", seq, seq * size_bytes);
}

/* A process that wakes up: see the agent. */
static void do_tick(uint64_t ms)
{
	while (!stop)
		usleep((useconds_t)ms * 1000);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	if (argc == 3 && strcmp(argv[1], "stat") == 0)
		do_stat(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "tick") == 0)
		do_tick(long_arg(argv[2], 500));
	else if (argc == 3 && strcmp(argv[1], "sink") == 0)
		do_sink((uint16_t)long_arg(argv[2], 65535));
	else if (argc == 6 && strcmp(argv[1], "tcp") == 0)
		do_tcp(argv[2], (uint16_t)long_arg(argv[3], 65535),
		       (int)long_arg(argv[4], FLOWS_MAX), long_arg(argv[5], 3600));
	else if ((argc == 6 || argc == 7) && strcmp(argv[1], "udp") == 0)
		do_udp(argv[2], (uint16_t)long_arg(argv[3], 65535), long_arg(argv[4], DATAGRAM_MAX),
		       long_arg(argv[5], 3600), argc == 7 ? long_arg(argv[6], 100000000) : 0);
	else
		return fprintf(stderr, "usage: see the top of tqload.c\n"), 2;
	return 0;
}
