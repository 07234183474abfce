/* The library's time-outs begin anew with each byte that comes: a server, or
 * something between, that lets one through every second would hold us for
 * hours. Its waiting is ours here, so that a limit holds over all waits. */
#include "base/clock.h"
#include "db/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#define UNSAID_MS 60000 /* one wait of an exchange without deadline */
#define SLICE_MS 200    /* longest until a stop is seen */

static _Thread_local int64_t deadline;
static _Thread_local const _Atomic bool *stop;
static _Thread_local MYSQL *opening; /* its first VERSION_AT bytes have not all come */
static _Thread_local size_t came;
static _Thread_local bool greeted;   /* as MySQL does */

int64_t now_ms(void)
{
	return clock_mono(&clock_real);
}

#define VERSION_AT 4 /* of the protocol: behind a packet's head */
#define VERSION 10

/* Exported for plugins that trace (plugins/trace/trace_example.c), in no header:
 * called after each read and write, with what came or went. */
int ma_pvio_register_callback(my_bool add, void (*fn)(int mode, MYSQL *my, const unsigned char *bytes, size_t n));

void deadline_set(int64_t until)
{
	deadline = until;
}

void deadline_stop_when(const _Atomic bool *is_over)
{
	stop = is_over;
}

/* As the library's own: 1 ready, 0 time over, -1 error. Its timeout is in
 * milliseconds, and over TLS in seconds (3.3.20): of no use. */
static int wait_until(my_socket fd, my_bool is_read, int timeout)
{
	struct pollfd p = { .fd = fd, .events = is_read ? POLLIN : POLLOUT };
	int64_t until = deadline ? deadline : now_ms() + UNSAID_MS, left;
	int rc = 0;

	(void)timeout;
	do {
		left = until - now_ms();
		if (stop && *stop)
			return 0;
		rc = poll(&p, 1, left > SLICE_MS ? SLICE_MS : left > 0 ? (int)left : 0);
	} while ((!rc && left > 0) || (rc < 0 && errno == EINTR)); /* a signal is no lost connection */
	return rc;
}

/* Over TLS the library waits inside of read(), and comes to us only when that
 * would block. So it must never block, from the first bytes on, which are the
 * greeting's: the handshake comes after them. */
static void never_block(MYSQL *my)
{
	int fd = mysql_get_socket(my), flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

/* n is what read() or write() returned. */
static void first_bytes(int mode, MYSQL *my, const unsigned char *bytes, size_t n)
{
	if (my != opening)
		return;
	if (!came)
		never_block(my);
	if (mode || (ssize_t)n <= 0)
		return;
	came += n;
	if (came <= VERSION_AT)
		return;
	greeted = bytes[VERSION_AT - (came - n)] == VERSION;
	opening = NULL;
}

void deadline_init(void)
{
	ma_pvio_register_callback(1, first_bytes);
}

void deadline_watch(MYSQL *my)
{
	opening = my;
	came = 0;
	greeted = false;
	mysql_optionsv(my, MARIADB_OPT_IO_WAIT, (void *)wait_until);
}

bool deadline_has_greeted(void)
{
	return greeted;
}

bool deadline_is_over(void)
{
	return deadline && now_ms() >= deadline;
}
