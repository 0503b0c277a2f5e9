// SPDX-License-Identifier: Apache-2.0
#include "CCrypto.h"

#include <limits.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

_Static_assert(EVP_MAX_MD_SIZE <= MARTLET_CRYPTO_DIGEST_LIMIT, "room for every digest");

size_t martlet_crypto_digest(
    const char *algorithm, const void *bytes, size_t byte_count, unsigned char *digest)
{
    // Errors of earlier calls would be taken for this one's.
    ERR_clear_error();
    EVP_MD *type = EVP_MD_fetch(NULL, algorithm, NULL);
    if (type == NULL)
        return 0;
    unsigned int length = 0;
    int good = EVP_Digest(bytes == NULL ? "" : bytes, bytes == NULL ? 0 : byte_count, digest, &length, type, NULL);
    EVP_MD_free(type);
    return good == 1 ? length : 0;
}

bool martlet_crypto_random(unsigned char *bytes, size_t byte_count)
{
    ERR_clear_error();
    if (byte_count > INT_MAX)
        return false;
    return RAND_bytes(bytes, (int)byte_count) == 1;
}

void martlet_crypto_error(char *text, size_t room)
{
    text[0] = '\0';
    unsigned long code = ERR_get_error();
    if (code != 0)
        ERR_error_string_n(code, text, room);
    ERR_clear_error();
}
