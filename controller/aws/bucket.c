/* Token buckets. Better to wait here than to be throttled there: AWS counts
 * refused requests too, and everybody in the account shares its buckets. */
#include "aws/core.h"

#include <math.h>

void bucket_init(struct bucket *b, const struct limit *limit, int64_t now)
{
	*b = (struct bucket){ .limit = *limit, .tokens = limit->burst, .at = now };
}

static void refill(struct bucket *b, int64_t now)
{
	if (now <= b->at)
		return;
	b->tokens = fmin(b->limit.burst, b->tokens + (double)(now - b->at) / 1000 * b->limit.rate);
	b->at = now;
}

/* The last third is the rollback lane's: ordinary work stops taking before it. */
int64_t bucket_take(struct bucket *b, int64_t now, bool whole)
{
	double least = 1 + (whole ? 0 : b->limit.burst / 3);

	refill(b, now);
	/* a hair of slack: waiting exactly as long as told must be enough */
	if (b->tokens + 1e-6 < least)
		return (int64_t)ceil((least - b->tokens) / b->limit.rate * 1000 - 1e-3);
	b->tokens -= 1;
	return 0;
}
