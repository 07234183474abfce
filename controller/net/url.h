/* net/url.h - a URL may carry a login; what people and journals read may not. */
#ifndef CUTOVER_NET_URL_H
#define CUTOVER_NET_URL_H

/* The text with "***" for what stands before the @ of each URL in it: curl's
 * words quote what it could not read, so a URL may also be broken (blanks and
 * slashes in the password) or have lost its scheme ("user:pw@proxy:80").
 * Caller frees. */
char *url_hide_logins(const char *text);
#endif
