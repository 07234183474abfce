/* simserver - the simulated world for programs of their own process, in real time.
 *
 * HTTP/1.1 on a loopback port that the kernel chooses. Each request goes to
 * sim_send, which tells the service by what the request was signed for. Before
 * every request, and a few times a second, the world's clock is brought up to
 * this machine's. A fault that loses a request or its answer closes the
 * connection. It ends on SIGTERM, SIGINT, or when standard input closes.
 *
 * On stdout, when ready: the port, then the rule, blue and green, a line each.
 * In the log: one JSON object for each request, with `ns`, CLOCK_MONOTONIC when
 * its last byte had arrived, and `done`, when the answer had been sent. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "sim/sim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNS       32
#define HEADS       64
#define ALARMS      16
#define REQUEST_MAX ((size_t)2 << 20)
#define TICK_MS     250  /* the world moves on without requests, too */
#define PATIENCE_S  2    /* for a client that does not read its answer */

struct conn {
	int fd;
	struct buf in;
	bool told_continue;
};

struct server {
	struct sim *sim;
	int64_t skew_ms; /* of the world's clock; Date says so in every answer */
	FILE *log;
	int listener, port;
	struct conn conn[CONNS];
	size_t nconns;
};

/* One request, cut out of what came in; pointers into `text`. */
struct asked {
	char *text, *method, *path;
	struct kv head[HEADS];
	size_t nhead;
	const char *body;
	size_t nbody, size; /* size: head and body on the wire */
	int64_t ns;
};
enum cut { CUT_BAD = -1, CUT_MORE, CUT_WHOLE };

static volatile sig_atomic_t stop;
static void on_signal(int sig) { (void)sig; stop = 1; }

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void catch_up(struct server *sv)
{
	int64_t behind = clock_wall(&clock_real) + sv->skew_ms - clock_wall(sim_clock(sv->sim));

	if (behind > 0)
		clock_sleep(sim_clock(sv->sim), behind);
}

/* --- reading ------------------------------------------------------------------ */

static const char *head_of(const struct asked *q, const char *name)
{
	for (size_t i = 0; i < q->nhead; i++)
		if (!strcasecmp(q->head[i].k, name))
			return q->head[i].v;
	return NULL;
}

static int split_line(struct asked *q, char *line)
{
	char *colon = strchr(line, ':'), *v;

	if (!colon || colon == line || q->nhead == HEADS)
		return -1;
	*colon = '\0';
	v = colon + 1 + strspn(colon + 1, " \t");
	for (char *end = v + strlen(v); end > v && (end[-1] == ' ' || end[-1] == '\t'); )
		*--end = '\0';
	q->head[q->nhead++] = (struct kv){ line, v };
	return 0;
}

/* "POST /path?query HTTP/1.1", then the headers. */
static int split_head(struct asked *q)
{
	char *save = NULL, *line = strtok_r(q->text, "\r\n", &save), *version;

	q->method = line;
	q->path = line ? strchr(line, ' ') : NULL;
	version = q->path ? strchr(q->path + 1, ' ') : NULL;
	if (!version || strncmp(version, " HTTP/1.1", 9) || q->path[1] != '/')
		return -1;
	*q->path++ = *version = '\0';
	while ((line = strtok_r(NULL, "\r\n", &save)))
		if (split_line(q, line))
			return -1;
	return 0;
}

static int body_size(struct asked *q)
{
	const char *n = head_of(q, "content-length");
	char *end = NULL;

	if (head_of(q, "transfer-encoding"))
		return -1; /* nobody who asks AWS's APIs needs it */
	q->nbody = n ? strtoul(n, &end, 10) : 0;
	return (n && (end == n || *end)) || q->nbody > REQUEST_MAX ? -1 : 0;
}

static void say_continue(struct conn *c, const struct asked *q)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (head_of(q, "expect") && !c->told_continue)
		c->told_continue = send(c->fd, text, sizeof text - 1, MSG_NOSIGNAL) > 0;
}

static enum cut cut_request(struct conn *c, struct asked *q)
{
	char *end = c->in.len ? memmem(c->in.p, c->in.len, "\r\n\r\n", 4) : NULL;
	size_t nhead = end ? (size_t)(end - c->in.p) + 4 : 0;

	if (!end)
		return c->in.full ? CUT_BAD : CUT_MORE;
	q->text = xstrndup(c->in.p, nhead);
	if (strlen(q->text) != nhead || split_head(q) || body_size(q))
		return CUT_BAD;
	q->size = nhead + q->nbody;
	if (c->in.len < q->size) {
		say_continue(c, q);
		return c->in.full ? CUT_BAD : CUT_MORE;
	}
	q->body = c->in.p + nhead;
	return CUT_WHOLE;
}

/* --- answering ------------------------------------------------------------------ */

/* "ModifyRule", wherever the protocol says it; else the path. */
static void name_action(const struct asked *q, char *out, size_t size)
{
	const char *target = head_of(q, "x-amz-target"), *dot = target ? strrchr(target, '.') : NULL;
	const char *p = memmem(q->body, q->nbody, "Action=", 7);
	size_t left = p ? q->nbody - (size_t)(p - q->body) - 7 : 0, n = 0;

	while (p && n < left && p[7 + n] != '&')
		n++;
	if (dot)
		snprintf(out, size, "%s", dot + 1);
	else if (p && (p == q->body || p[-1] == '&'))
		snprintf(out, size, "%.*s", (int)n, p + 7);
	else
		snprintf(out, size, "%s %s", q->method, q->path);
}

static void log_request(struct server *sv, const struct asked *q, int status)
{
	char action[256];

	name_action(q, action, sizeof action);
	autojson json_t *j = json_pack("{s:I,s:I,s:o,s:i}", "ns", (json_int_t)q->ns, "done", (json_int_t)now_ns(),
				       "action", json_text(action), "status", status);
	autofree char *line = json_flat(j);

	fprintf(sv->log, "%s\n", line);
	fflush(sv->log);
}

static int send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return -1;
		p += sent;
		n -= (size_t)sent;
	}
	return 0;
}

static int send_answer(const struct conn *c, const struct http_res *a, bool last)
{
	autobuf struct buf out = BUF_MAX(HTTP_ANSWER_MAX);

	buf_addf(&out, "HTTP/1.1 %d Simulated\r\n%sContent-Length: %zu\r\nConnection: %s\r\n\r\n", a->status, a->head, a->nbody, last ? "close" : "keep-alive");
	buf_add(&out, a->body, a->nbody);
	return out.full ? -1 : send_all(c->fd, out.p, out.len);
}

/* -1: this connection has ended. */
static int answer(struct server *sv, const struct conn *c, const struct asked *q)
{
	autofree char *url = xasprintf("https://127.0.0.1:%d%s", sv->port, q->path);
	const char *wish = head_of(q, "connection");
	bool last = wish && !strcasecmp(wish, "close");
	struct http_req r = { .method = q->method, .url = url, .head = q->head, .nhead = q->nhead,
			      .body = q->nbody ? q->body : NULL, .nbody = q->nbody };
	autores struct http_res a = { 0 };
	struct err e = { 0 };
	int rc;

	catch_up(sv);
	rc = sim_send(sv->sim, &r, &a, &e) || send_answer(c, &a, last) ? -1 : 0;
	log_request(sv, q, a.status);
	return last ? -1 : rc;
}

static void refuse(const struct conn *c)
{
	static const char text[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

	(void)send_all(c->fd, text, sizeof text - 1);
}

/* Answers the first request of what came in. 1: done, look for another. */
static int serve_one(struct server *sv, struct conn *c, int64_t ns)
{
	struct asked q = { .ns = ns };
	enum cut cut = cut_request(c, &q);
	int rc = cut == CUT_WHOLE ? (answer(sv, c, &q) ? -1 : 1) : (int)cut;

	if (cut == CUT_BAD)
		refuse(c);
	if (rc == 1) {
		memmove(c->in.p, c->in.p + q.size, c->in.len - q.size);
		c->in.len -= q.size;
		c->told_continue = false;
	}
	free(q.text);
	return rc;
}

/* --- connections ------------------------------------------------------------------ */

static void accept_one(struct server *sv)
{
	int one = 1, fd = accept4(sv->listener, NULL, NULL, SOCK_CLOEXEC);
	struct timeval patience = { .tv_sec = PATIENCE_S };

	if (fd < 0)
		return;
	if (sv->nconns == CONNS) {
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	sv->conn[sv->nconns++] = (struct conn){ .fd = fd, .in = BUF_MAX(REQUEST_MAX) };
}

static void close_conn(struct server *sv, size_t i)
{
	close(sv->conn[i].fd);
	buf_free(&sv->conn[i].in);
	sv->conn[i] = sv->conn[--sv->nconns];
}

static int read_conn(struct server *sv, struct conn *c)
{
	char part[65536];
	ssize_t n = recv(c->fd, part, sizeof part, MSG_DONTWAIT);
	int64_t ns = now_ns();
	int rc;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
	buf_add(&c->in, part, (size_t)n);
	while ((rc = serve_one(sv, c, ns)) == 1)
		;
	return rc;
}

static bool stdin_closed(void)
{
	char part[256];

	return read(STDIN_FILENO, part, sizeof part) <= 0;
}

/* Signals are let in only while it waits, so that none comes between look and wait. */
static void serve(struct server *sv, const sigset_t *waiting)
{
	struct timespec tick = { .tv_nsec = TICK_MS * 1000000L };
	struct pollfd p[2 + CONNS] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = sv->listener, .events = POLLIN } };

	while (!stop) {
		size_t n = sv->nconns;

		for (size_t i = 0; i < n; i++)
			p[2 + i] = (struct pollfd){ .fd = sv->conn[i].fd, .events = POLLIN };
		if (ppoll(p, 2 + n, &tick, waiting) < 0)
			continue;
		catch_up(sv);
		if (p[0].revents && stdin_closed())
			break;
		for (size_t i = n; i-- > 0; ) /* from the end: closing moves the last one */
			if (p[2 + i].revents && read_conn(sv, &sv->conn[i]))
				close_conn(sv, i);
		if (p[1].revents)
			accept_one(sv);
	}
}

/* --- starting ------------------------------------------------------------------------ */

struct args {
	struct sim_opts sim;
	const char *alarm[ALARMS], *log;
	int64_t age_s, skew_s;
	bool on_rule;
};

static const struct option options[] = {
	{ "log", 1, NULL, 'l' },   { "rule", 1, NULL, 'r' },   { "blue", 1, NULL, 'b' }, { "green", 1, NULL, 'g' },
	{ "alarm", 1, NULL, 'a' }, { "period", 1, NULL, 'p' }, { "seed", 1, NULL, 's' }, { "fault", 1, NULL, 'f' },
	{ "rate", 1, NULL, 'n' },  { "age", 1, NULL, 'o' },    { "skew", 1, NULL, 'k' }, { "green-on-rule", 0, NULL, 'w' }, { 0 },
};
static const char usage[] =
	"simserver [--log FILE] [--rule ARN] [--blue ARN] [--green ARN] [--alarm NAME]... [--period SECONDS]\n"
	"          [--seed N] [--fault NAME] [--rate REQUESTS_PER_SECOND] [--age SECONDS] [--skew SECONDS]\n"
	"          [--green-on-rule]\n"
	"--age: how long this world has existed when the first request comes (0)\n"
	"--skew: its clock is this far ahead of this machine's (0)\n"
	"--green-on-rule: green is on the rule at weight 0 from the start, so that it is healthy in time\n";

static int set_option(struct args *a, int c)
{
	switch (c) {
	case 'l': a->log = optarg; return 0;
	case 'r': a->sim.rule = optarg; return 0;
	case 'b': a->sim.blue = optarg; return 0;
	case 'g': a->sim.green = optarg; return 0;
	case 'f': a->sim.fault = optarg; return 0;
	case 'p': a->sim.period_s = atoi(optarg); return 0;
	case 's': a->sim.seed = strtoull(optarg, NULL, 10); return 0;
	case 'n': a->sim.requests_per_s = atof(optarg); return 0;
	case 'o': a->age_s = atol(optarg); return 0;
	case 'k': a->skew_s = atol(optarg); return 0;
	case 'w': a->on_rule = true; return 0;
	case 'a': return a->sim.alarms < ALARMS ? a->alarm[a->sim.alarms++] = optarg, 0 : -1;
	default: return -1;
	}
}

static int read_args(int argc, char **argv, struct args *a)
{
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (set_option(a, c))
			return -1;
	a->sim.alarm_names = a->alarm;
	return optind == argc && a->age_s >= 0 ? 0 : -1;
}

static int open_world(struct server *sv, struct args *a)
{
	sv->skew_ms = a->skew_s * 1000;
	a->sim.start = clock_wall(&clock_real) + sv->skew_ms - a->age_s * 1000;
	sv->sim = sim_new(&a->sim);
	if (!sv->sim)
		return -1;
	if (a->on_rule)
		sim_set_weights(sv->sim, 999, 0);
	catch_up(sv);
	return 0;
}

static int open_port(struct server *sv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;

	sv->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sv->listener < 0 || bind(sv->listener, (struct sockaddr *)&at, n) || listen(sv->listener, CONNS) ||
	    getsockname(sv->listener, (struct sockaddr *)&at, &n))
		return -1;
	sv->port = ntohs(at.sin_port);
	return 0;
}

static void announce(const struct server *sv, const struct sim_opts *o)
{
	printf("%d\n%s\n%s\n%s\n", sv->port, o->rule ? o->rule : SIM_RULE, o->blue ? o->blue : SIM_BLUE,
	       o->green ? o->green : SIM_GREEN);
	fflush(stdout);
}

static void catch_signals(sigset_t *waiting)
{
	struct sigaction act = { .sa_handler = on_signal };
	sigset_t ours;

	sigemptyset(&ours);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigprocmask(SIG_BLOCK, &ours, waiting);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGINT, &act, NULL);
}

static int start(struct server *sv, struct args *a)
{
	sv->log = fopen(a->log ? a->log : "/dev/null", "we");
	if (!sv->log)
		return fprintf(stderr, "simserver: %s: %s\n", a->log, strerror(errno)), 1;
	if (open_world(sv, a))
		return fprintf(stderr, "simserver: there is no fault \"%s\"\n", a->sim.fault), 2;
	if (open_port(sv))
		return fprintf(stderr, "simserver: no port on 127.0.0.1: %s\n", strerror(errno)), 1;
	return 0;
}

static void finish(struct server *sv)
{
	while (sv->nconns)
		close_conn(sv, sv->nconns - 1);
	if (sv->listener >= 0)
		close(sv->listener);
	if (sv->log)
		fclose(sv->log);
	sim_free(sv->sim);
}

int main(int argc, char **argv)
{
	struct server sv = { .listener = -1 };
	struct args a = { 0 };
	sigset_t waiting;
	int rc;

	if (read_args(argc, argv, &a))
		return fputs(usage, stderr), 2;
	catch_signals(&waiting);
	rc = start(&sv, &a);
	if (!rc) {
		announce(&sv, &a.sim);
		serve(&sv, &waiting);
	}
	finish(&sv);
	return rc;
}
