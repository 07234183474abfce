/* Full jitter: sleep = random(0, min(cap, base * 2^tries)).
 * aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
#include "aws/core.h"

/* splitmix64: enough to spread retries, and the same everywhere for one seed. */
uint64_t rng_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

void retry_init(struct retry *r, struct clock *clock, uint64_t *rng)
{
	*r = (struct retry){ .clock = clock, .rng = rng, .until = clock_mono(clock) + RETRY_TOTAL_MS };
}

int64_t retry_left(const struct retry *r)
{
	return r->until - clock_mono(r->clock);
}

void retry_sleep(struct clock *clock, int64_t ms)
{
	int fd = clock->wake_fd;

	clock->wake_fd = -1;
	clock_sleep(clock, ms);
	clock->wake_fd = fd;
}

bool retry_again(struct retry *r)
{
	int64_t most = RETRY_BASE_MS << (r->tries < 10 ? r->tries : 10), pause;

	if (++r->tries >= RETRY_TRIES)
		return false;
	if (most > RETRY_CAP_MS)
		most = RETRY_CAP_MS;
	pause = (int64_t)(rng_next(r->rng) % (uint64_t)(most + 1));
	if (pause + RETRY_LEAST_MS > retry_left(r))
		return false;
	retry_sleep(r->clock, pause);
	return true;
}
