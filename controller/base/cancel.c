#include "base/cancel.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

void cancel_open(struct cancel *c)
{
	atomic_init(&c->why, CANCEL_NOT);
	c->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

void cancel_close(struct cancel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* A write that fails leaves `why`, which is looked at about once a second. */
void cancel_raise(struct cancel *c, enum cancel_why why)
{
	const uint64_t one = 1;

	atomic_store(&c->why, why);
	if (c->fd >= 0 && write(c->fd, &one, sizeof one) < 0)
		return;
}

void cancel_clear(struct cancel *c)
{
	uint64_t junk;

	atomic_store(&c->why, CANCEL_NOT);
	if (c->fd >= 0 && read(c->fd, &junk, sizeof junk) < 0)
		return;
}
