/* aws/secrets.h - a secret's value from Secrets Manager (JSON 1.1).
 * docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html */
#ifndef CUTOVER_AWS_SECRETS_H
#define CUTOVER_AWS_SECRETS_H

struct aws;
struct err;

/* *text = SecretString, the caller's to wipe and free (secret_free). ERR_GONE: no
 * such secret; ERR_INPUT: it holds bytes, not text. The value is in no error,
 * log or journal. */
int secret_get(struct aws *a, const char *id, char **text, struct err *e);
void secret_free(char **text);
#define autosecret __attribute__((cleanup(secret_free)))

/* Secrets as RDS manages them: {"username": ..., "password": ...} and more.
 * docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
 * Both are the caller's to wipe and free; *user is NULL when the secret has none. */
int secret_login(struct aws *a, const char *id, char **user, char **password, struct err *e);
#endif
