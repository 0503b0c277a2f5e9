// SPDX-License-Identifier: Apache-2.0
// What CHAP needs of libcrypto (OpenSSL 3): digests by name, and random bytes. Every failure is returned: a machine
// whose OpenSSL is configured for FIPS has no MD5, for one.
#ifndef MARTLET_CCRYPTO_H
#define MARTLET_CCRYPTO_H

#include <stdbool.h>
#include <stddef.h>

/// Bytes of the longest digest that `martlet_crypto_digest` gives.
enum { MARTLET_CRYPTO_DIGEST_LIMIT = 64 };

/// The digest of `byte_count` bytes by the algorithm of this name ("MD5", "SHA2-256"; EVP_MD_fetch(3)). Returns its
/// length, or 0 when the library has no such algorithm, may not use it, or fails. `digest` has room for
/// MARTLET_CRYPTO_DIGEST_LIMIT bytes; `bytes` may be null when `byte_count` is 0.
size_t martlet_crypto_digest(
    const char *_Nonnull algorithm, const void *_Nullable bytes, size_t byte_count, unsigned char *_Nonnull digest);

/// Fills `bytes` from the library's generator for public values (RAND_bytes(3)). False when it has none to give; what
/// is in `bytes` then must not be used.
bool martlet_crypto_random(unsigned char *_Nonnull bytes, size_t byte_count);

/// What the library last said about a failure in this thread, ended by a zero byte; empty when it said nothing.
/// Forgets it. `room`: bytes of `text`, at least 1.
void martlet_crypto_error(char *_Nonnull text, size_t room);

#endif
