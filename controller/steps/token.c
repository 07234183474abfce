#include "steps/token.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 32

void token_hash(const char *text, size_t digits, char *out)
{
	unsigned char md[EVP_MAX_MD_SIZE] = { 0 };
	char hex[DIGITS_MAX + 1];

	if (!EVP_Digest(text, strlen(text), md, NULL, EVP_sha256(), NULL))
		abort();
	for (size_t i = 0; i < DIGITS_MAX / 2; i++)
		snprintf(hex + 2 * i, 3, "%02x", md[i]);
	snprintf(out, digits + 1, "%s", hex);
}
