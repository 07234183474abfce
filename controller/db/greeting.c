/* Who is it that does not speak MySQL's protocol? Asked only after a login has
 * failed for that, so that "is the port right?" has an answer. */
#include "db/internal.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WAIT_MS 1000

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
#define autofd __attribute__((cleanup(close_fd)))

static bool wait_for(int fd, short what)
{
	struct pollfd p = { .fd = fd, .events = what };

	return poll(&p, 1, WAIT_MS) == 1 && (p.revents & what);
}

static int dial(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		(void)!connect(fd, a->ai_addr, a->ai_addrlen); /* in progress: poll tells */
	return fd;
}

static int dial_host(const struct db_login *l)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *a = NULL;
	char port[8];
	int fd;

	snprintf(port, sizeof port, "%d", l->port);
	if (*l->host == '/' || getaddrinfo(l->host, port, &hints, &a) || !a)
		return -1;
	fd = dial(a);
	freeaddrinfo(a);
	return fd;
}

/* PostgreSQL waits for the client; its SSLRequest (length 8, 80877103) is
 * answered with one letter: S or N.
 * postgresql.org/docs/current/protocol-message-formats.html */
static const char *ask_postgres(int fd)
{
	static const unsigned char request[8] = { 0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f };
	char answer = '\0';

	if (send(fd, request, sizeof request, MSG_NOSIGNAL) != sizeof request || !wait_for(fd, POLLIN) ||
	    recv(fd, &answer, 1, 0) != 1)
		return "";
	return answer == 'S' || answer == 'N' ? "PostgreSQL" : "";
}

static const char *read_greeting(int fd)
{
	static const struct { const char *begin, *what; } known[] = {
		{ "SSH-", "an SSH server" }, { "HTTP/", "a web server" }, { "220 ", "a mail or FTP server" },
	};
	char text[16] = "";

	if (recv(fd, text, sizeof text - 1, 0) <= 0)
		return "";
	for (size_t i = 0; i < COUNT(known); i++)
		if (!strncmp(text, known[i].begin, strlen(known[i].begin)))
			return known[i].what;
	return "";
}

const char *greeting_of(const struct db_login *l)
{
	autofd int fd = dial_host(l);

	if (fd < 0 || !wait_for(fd, POLLOUT))
		return "";
	return wait_for(fd, POLLIN) ? read_greeting(fd) : ask_postgres(fd);
}
